/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package webhooks

import (
	"context"
	"fmt"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// reviewer allows to get some resources, GROUP/NAME, and remembers what it was asked.
type reviewer struct {
	client.Writer
	allows string
	broken bool
	asked  authorizationv1.ResourceAttributes
	times  int
}

func (r *reviewer) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	review := object.(*authorizationv1.SubjectAccessReview)
	r.asked = *review.Spec.ResourceAttributes
	r.times++
	if r.broken {
		return errBroken
	}
	review.Status.Allowed = review.Spec.User == "alice" && r.asked.Verb == "get" && r.asked.Group+"/"+r.asked.Resource == r.allows
	return nil
}

func TestNamesAreToldToWhoMayRead(t *testing.T) {
	request := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{Namespace: "default"}}
	request.UserInfo.Username = "alice"
	ctx := admission.NewContextWithRequest(t.Context(), request)
	theirs, mine := at(pod("db"), "shop"), at(pod("web"), "default")
	for name, tc := range map[string]struct {
		allows string
		say    func(n ReaderNames) string
		want   string
	}{
		"a pod that may be read":         {"/pods", func(n ReaderNames) string { name, _ := n.PodNameOf(ctx, theirs); return name }, "pod shop/db"},
		"a pod of others":                {"/services", func(n ReaderNames) string { name, _ := n.PodNameOf(ctx, theirs); return name }, "a pod of another namespace"},
		"a pod of one's own":             {"", func(n ReaderNames) string { name, _ := n.PodNameOf(ctx, mine); return name }, "a pod of this namespace"},
		"nobody knows who asks":          {"/pods", func(n ReaderNames) string { name, _ := n.PodNameOf(t.Context(), theirs); return name }, "a pod of another namespace"},
		"a node that may be read":        {"/nodes", func(n ReaderNames) string { return n.NodeNameOf(ctx, node("node-1", "")) }, "node node-1"},
		"a node":                         {"/pods", func(n ReaderNames) string { return n.NodeNameOf(ctx, node("node-1", "")) }, "a node"},
		"a pool that may be read":        {"switchyard.dev/addresspools", func(n ReaderNames) string { return n.RangeNameOf(ctx, "AddressPool", "red") }, "AddressPool red"},
		"a pool of the other kind":       {"switchyard.dev/addresspools", func(n ReaderNames) string { return n.RangeNameOf(ctx, "PortPool", "red") }, "another PortPool"},
		"a ServiceCIDR that may be read": {"networking.k8s.io/servicecidrs", func(n ReaderNames) string { return n.RangeNameOf(ctx, "ServiceCIDR", "red") }, "ServiceCIDR red"},
		"a ServiceCIDR":                  {"switchyard.dev/servicecidrs", func(n ReaderNames) string { return n.RangeNameOf(ctx, "ServiceCIDR", "red") }, "another ServiceCIDR"},
	} {
		reviews := &reviewer{allows: tc.allows}
		if got := tc.say(ReaderNames{Reviews: reviews}); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	reviews := &reviewer{broken: true}
	if name, told := (ReaderNames{Reviews: reviews}).PodNameOf(ctx, theirs); told || name != "a pod of another namespace" {
		t.Errorf("without an answer: got %q", name)
	}
	if reviews.asked.Namespace != "shop" || reviews.asked.Name != "db" {
		t.Errorf("asked about %s/%s", reviews.asked.Namespace, reviews.asked.Name)
	}
}

func TestARequestAsksForFewNamesAndForEachOnce(t *testing.T) {
	request := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{Namespace: "default"}}
	request.UserInfo.Username = "alice"
	ctx := withReviews(admission.NewContextWithRequest(t.Context(), request))
	reviews := &reviewer{allows: "/nodes"}
	names := ReaderNames{Reviews: reviews}
	for range 2 {
		for i := range maxReviews {
			if name := fmt.Sprintf("node-%d", i); names.NodeNameOf(ctx, node(name, "")) != "node "+name {
				t.Errorf("withheld %s", name)
			}
		}
	}
	if got := names.NodeNameOf(ctx, node("one-more", "")); got != "a node" {
		t.Errorf("after %d names: told %q", maxReviews, got)
	}
	if reviews.times != maxReviews {
		t.Errorf("asked the API server %d times, want %d", reviews.times, maxReviews)
	}
}

// A validator begins each request so.
func TestAValidatorRemembersWhatItHasAsked(t *testing.T) {
	var holders []client.Object
	for i := range 3 {
		holders = append(holders, service(fmt.Sprintf("holder-%d", i), external("203.0.113.7", "203.0.113.8")))
	}
	reviews := &reviewer{}
	world := cluster(t, holders, holders)
	world.Names = ReaderNames{Reviews: reviews}
	v := &ServiceValidator{Validation{World: world, Severities: Severities{"X3": Off, "X5": Off}}}
	ctx := admission.NewContextWithRequest(t.Context(), admission.Request{})
	if _, err := v.ValidateCreate(ctx, service("web", external("203.0.113.7", "203.0.113.8"))); err == nil || reviews.times != len(holders) {
		t.Errorf("asked %d times about %d Services (%v)", reviews.times, len(holders), err)
	}
}
