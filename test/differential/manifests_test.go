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

package differential

import (
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/validation"
)

// compareManifest goes the whole way that a posted Service goes, defaults and
// allocation included, on a cluster with the registry's families.
func compareManifest(t *testing.T, c chooser, r *registry, tally *tally) {
	t.Helper()
	svc := pick(c, services())
	bare(c, svc)
	mutate(c, svc, serviceChanges())
	serverFills(&svc.ObjectMeta)
	_, errs := validation.Manifest(svc, validation.Options{IPFamilies: r.families})
	servers, err := r.create(svc)
	if err != nil {
		t.Fatalf("the server has no answer to %s: %v", spelled([]any{svc}), err)
	}
	tally.same(t, "manifest", problems(errs), withoutOwnDoing(svc, servers), svc)
}

// compareManifestUpdate goes the whole way of a Service that is put in the place
// of one that is complete.
func compareManifestUpdate(t *testing.T, c chooser, r *registry, tally *tally) {
	t.Helper()
	before := pick(c, services())
	after := before.DeepCopy()
	if c.IntN(4) == 0 {
		after = pick(c, services())
	}
	bare(c, after)
	mutate(c, after, serviceChanges())
	serverKeeps(before, after)
	_, errs := validation.ManifestUpdate(before, after, validation.Options{IPFamilies: r.families})
	servers, err := r.update(before, after)
	switch {
	case errors.Is(err, errFails), slices.ContainsFunc(servers, showsGiven):
		if len(errs) == 0 {
			t.Errorf("nothing is wrong with %s, and the server says: %v %v", spelled([]any{before, after}), err, servers)
		}
	case err != nil:
		t.Fatalf("the server has no answer to %s: %v", spelled([]any{before, after}), err)
	default:
		tally.same(t, "manifest update", problems(errs), slices.Compact(withoutOwnDoing(after, servers)), before, after)
	}
}

// showsGiven says that a message has an address that the server gave before it
// looked; nobody else can know it.
func showsGiven(p problem) bool {
	return strings.Contains(p.Message, given[corev1.IPv4Protocol]) || strings.Contains(p.Message, given[corev1.IPv6Protocol])
}

// bare takes out what a user leaves to the server.
func bare(c chooser, svc *corev1.Service) {
	for _, leaveOut := range []func(){
		func() { svc.Spec.ClusterIP, svc.Spec.ClusterIPs = "", nil },
		func() { svc.Spec.ClusterIPs = nil },
		func() { svc.Spec.IPFamilies = nil },
		func() { svc.Spec.IPFamilyPolicy = nil },
		func() { svc.Spec.HealthCheckNodePort = 0 },
		func() { svc.Spec.AllocateLoadBalancerNodePorts = nil },
		func() { svc.Spec.InternalTrafficPolicy, svc.Spec.ExternalTrafficPolicy = nil, "" },
		func() { svc.Spec.Type, svc.Spec.SessionAffinity = "", "" },
	} {
		if c.IntN(2) == 0 {
			leaveOut()
		}
	}
}

// serverFills is what happens to a request before the registry sees it.
func serverFills(meta *metav1.ObjectMeta) {
	if meta.Namespace == "" {
		meta.Namespace = "default"
	}
	if meta.Name == "" && meta.GenerateName != "" {
		meta.Name = meta.GenerateName + "xxxxx"
	}
	meta.DeletionTimestamp = nil
}

// withoutOwnDoing takes out one complaint of the server's about itself: where a
// Service has one port twice, it gives both one NodePort.
func withoutOwnDoing(svc *corev1.Service, servers []problem) []problem {
	var out []problem
	for _, p := range servers {
		var own bool
		for i, port := range svc.Spec.Ports {
			own = own || port.NodePort == 0 && p.Type == "FieldValueDuplicate" && p.Field == nodePortField(i)
		}
		if !own {
			out = append(out, p)
		}
	}
	return out
}

// compareFamilies is about what the allocator says to an update.
func compareFamilies(t *testing.T, c chooser, r *registry, tally *tally) {
	t.Helper()
	before := pick(c, services())
	after := before.DeepCopy()
	for range 1 + c.IntN(3) {
		pick(c, familyChanges)(c, after)
	}
	servers, err := r.allocateUpdate(before, after)
	if err != nil {
		t.Fatalf("the server has no answer to %s: %v", spelled([]any{before, after}), err)
	}
	tally.same(t, "allocation", problems(validation.ValidateIPFamilies(before, after, validation.Options{IPFamilies: r.families})), servers, before, after)
}

// familyChanges leave no gap that the server would fill in first from the
// Service before.
var familyChanges = []change[*corev1.Service]{
	func(c chooser, s *corev1.Service) { s.Spec.IPFamilyPolicy = maybe(c, familyPolicy) },
	func(c chooser, s *corev1.Service) { s.Spec.IPFamilies = some(c, families) },
	func(c chooser, s *corev1.Service) {
		s.Spec.ClusterIPs = s.Spec.ClusterIPs[:min(1, len(s.Spec.ClusterIPs))]
	},
	func(c chooser, s *corev1.Service) {
		if len(s.Spec.ClusterIPs) == 1 && s.Spec.ClusterIP != "None" {
			s.Spec.ClusterIPs = append(s.Spec.ClusterIPs, pick(c, ips))
		}
	},
	func(c chooser, s *corev1.Service) { s.Spec.Selector = nil },
}

func TestManifests(t *testing.T) {
	for name, families := range clusters {
		t.Run(name, func(t *testing.T) {
			r, err := newRegistry(families...)
			if err != nil {
				t.Fatal(err)
			}
			tally, c := newTally(), seeded(uint64(len(families)))
			for range rounds {
				compareManifest(t, c, r, tally)
				compareManifestUpdate(t, c, r, tally)
				compareFamilies(t, c, r, tally)
			}
			tally.report(t)
			tally.hit(t, clusterRules[name])
		})
	}
}

var clusters = map[string][]corev1.IPFamily{
	"IPv4":          {corev1.IPv4Protocol},
	"IPv6 and IPv4": {corev1.IPv6Protocol, corev1.IPv4Protocol},
}
