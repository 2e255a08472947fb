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

package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// handMade has the given addresses, those with an exclamation mark not ready.
func handMade(port int32, addresses ...string) *corev1.Endpoints {
	subset := corev1.EndpointSubset{Ports: []corev1.EndpointPort{
		{Name: "http", Port: port, Protocol: corev1.ProtocolTCP, AppProtocol: new("h2c")},
	}}
	for _, address := range addresses {
		if ip, found := strings.CutPrefix(address, "!"); found {
			subset.NotReadyAddresses = append(subset.NotReadyAddresses, corev1.EndpointAddress{IP: ip})
			continue
		}
		subset.Addresses = append(subset.Addresses, corev1.EndpointAddress{IP: address})
	}
	return &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "db", UID: "uid-1", Labels: map[string]string{"team": "blue"}},
		Subsets:    []corev1.EndpointSubset{subset},
	}
}

// carryOut is what exists after a plan was applied to what existed.
func carryOut(plan mirrorPlan, existing []*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice {
	held := map[string]*discoveryv1.EndpointSlice{}
	for _, slice := range existing {
		held[slice.Name] = slice
	}
	for _, slice := range plan.remove {
		delete(held, slice.Name)
	}
	for _, slice := range plan.update {
		held[slice.Name] = slice
	}
	for i, slice := range plan.create {
		created := slice.DeepCopy()
		created.Name, created.UID = fmt.Sprint("new-", len(existing)+i), types.UID(fmt.Sprint("slice-", i))
		held[created.Name] = created
	}
	var all []*discoveryv1.EndpointSlice
	for _, slice := range held {
		all = append(all, slice)
	}
	slices.SortFunc(all, func(a, b *discoveryv1.EndpointSlice) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// spellSlices prints slices the short way: "IPv4 10.0.0.1 !10.0.0.2 @ 80".
func spellSlices(all []*discoveryv1.EndpointSlice) []string {
	lines := []string{}
	for _, slice := range all {
		line := string(slice.AddressType)
		for _, e := range slice.Endpoints {
			mark := "!"
			if ptr.Deref(e.Conditions.Ready, false) {
				mark = ""
			}
			line += " " + mark + e.Addresses[0]
		}
		for _, port := range slice.Ports {
			line += fmt.Sprint(" @ ", *port.Port)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

func operations(plan mirrorPlan) string {
	return fmt.Sprintf("create %d, update %d, remove %d", len(plan.create), len(plan.update), len(plan.remove))
}

func TestMirrorFollowsItsEndpoints(t *testing.T) {
	const nothing = "create 0, update 0, remove 0"
	steps := []struct {
		title      string
		endpoints  *corev1.Endpoints
		operations string
		want       []string
	}{
		{"one slice per family is created", handMade(80, "10.0.0.1", "!10.0.0.2", "fd00::1"),
			"create 2, update 0, remove 0", []string{"IPv4 10.0.0.1 !10.0.0.2 @ 80", "IPv6 fd00::1 @ 80"}},
		{"nothing changes when nothing has changed", handMade(80, "10.0.0.1", "!10.0.0.2", "fd00::1"),
			nothing, []string{"IPv4 10.0.0.1 !10.0.0.2 @ 80", "IPv6 fd00::1 @ 80"}},
		{"readiness updates one slice", handMade(80, "10.0.0.1", "10.0.0.2", "fd00::1"),
			"create 0, update 1, remove 0", []string{"IPv4 10.0.0.1 10.0.0.2 @ 80", "IPv6 fd00::1 @ 80"}},
		{"a family that goes takes its slice along", handMade(80, "10.0.0.1", "10.0.0.2"),
			"create 0, update 0, remove 1", []string{"IPv4 10.0.0.1 10.0.0.2 @ 80"}},
		{"another port reuses the slice", handMade(90, "10.0.0.1", "10.0.0.2"),
			"create 0, update 1, remove 0", []string{"IPv4 10.0.0.1 10.0.0.2 @ 90"}},
		{"an address in an odd spelling is no change", handMade(90, "010.0.0.1", "10.0.0.2"),
			nothing, []string{"IPv4 10.0.0.1 10.0.0.2 @ 90"}},
		{"an address in two spellings is one, which is not ready if one of them is not", handMade(90, "10.0.0.1", "010.0.0.1", "!10.0.0.2", "!010.0.0.2"),
			"create 0, update 1, remove 0", []string{"IPv4 10.0.0.1 !10.0.0.2 @ 90"}},
		{"and compared as one", handMade(90, "10.0.0.1", "010.0.0.1", "!10.0.0.2"),
			nothing, []string{"IPv4 10.0.0.1 !10.0.0.2 @ 90"}},
		{"another family cannot reuse the slice", handMade(90, "fd00::1"),
			"create 1, update 0, remove 1", []string{"IPv6 fd00::1 @ 90"}},
		{"no address means no slice", handMade(90),
			"create 0, update 0, remove 1", []string{}},
	}
	var existing []*discoveryv1.EndpointSlice
	for _, step := range steps {
		plan := planMirror(step.endpoints, existing, 1000)
		if got := operations(plan); got != step.operations {
			t.Errorf("%s: %s, want %s", step.title, got, step.operations)
		}
		existing = carryOut(plan, existing)
		if diff := cmp.Diff(step.want, spellSlices(existing)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.title, diff)
		}
	}
}

func TestMirrorNoticesWhatIsNotAnAddress(t *testing.T) {
	cases := map[string]func(*corev1.Endpoints){
		"a label":        func(e *corev1.Endpoints) { e.Labels["team"] = "red" },
		"an annotation":  func(e *corev1.Endpoints) { e.Annotations = map[string]string{"a": "b"} },
		"another object": func(e *corev1.Endpoints) { e.UID = "uid-2" },
		"a hostname":     func(e *corev1.Endpoints) { e.Subsets[0].Addresses[0].Hostname = "h" },
		"a node":         func(e *corev1.Endpoints) { e.Subsets[0].Addresses[0].NodeName = new("n") },
	}
	for title, change := range cases {
		t.Run(title, func(t *testing.T) {
			endpoints := handMade(80, "10.0.0.1")
			existing := carryOut(planMirror(endpoints, nil, 1000), nil)
			change(endpoints)
			plan := planMirror(endpoints, existing, 1000)
			if got := operations(plan); got != "create 0, update 1, remove 0" {
				t.Error(got)
			}
			if again := operations(planMirror(endpoints, carryOut(plan, existing), 1000)); again != "create 0, update 0, remove 0" {
				t.Errorf("and once more: %s", again)
			}
		})
	}
	t.Run("but not the trigger time", func(t *testing.T) {
		endpoints := handMade(80, "10.0.0.1")
		existing := carryOut(planMirror(endpoints, nil, 1000), nil)
		endpoints.Annotations = map[string]string{corev1.EndpointsLastChangeTriggerTime: "now", corev1.LastAppliedConfigAnnotation: "{}"}
		if got := operations(planMirror(endpoints, existing, 1000)); got != "create 0, update 0, remove 0" {
			t.Error(got)
		}
	})
}

// TestMirrorMakesBeforeItBreaks: written one after the other, the slices have
// every address all the time.
func TestMirrorMakesBeforeItBreaks(t *testing.T) {
	groups := func(groups ...[]string) *corev1.Endpoints {
		endpoints := handMade(0)
		endpoints.Subsets = nil
		for i, addresses := range groups {
			port := int32(8080 + i)
			if len(addresses) > 0 && strings.HasPrefix(addresses[0], ":") {
				_, _ = fmt.Sscanf(addresses[0], ":%d", &port)
				addresses = addresses[1:]
			}
			endpoints.Subsets = append(endpoints.Subsets, handMade(port, addresses...).Subsets...)
		}
		return endpoints
	}
	cases := map[string]struct{ before, after *corev1.Endpoints }{
		"ports change, of two": {
			groups([]string{"10.0.0.1", "10.0.0.2"}, []string{"10.0.0.3"}),
			groups([]string{":9090", "10.0.0.3"}, []string{":9091", "10.0.0.1", "10.0.0.2"})},
		"an address gets the ports of others": {
			groups([]string{"10.0.0.1", "10.0.0.2"}, []string{"10.0.0.3"}),
			groups([]string{"10.0.0.1"}, []string{"10.0.0.2", "10.0.0.3"})},
		"and the other way": {
			groups([]string{"10.0.0.1"}, []string{"10.0.0.2", "10.0.0.3"}),
			groups([]string{"10.0.0.1", "10.0.0.2"}, []string{"10.0.0.3"})},
	}
	for title, tc := range cases {
		t.Run(title, func(t *testing.T) {
			held := carryOut(planMirror(tc.before, nil, 1000), nil)
			plan := planMirror(tc.after, held, 1000)
			for _, next := range plan.update {
				held = carryOut(mirrorPlan{update: []*discoveryv1.EndpointSlice{next}}, held)
				seen := strings.Join(spellSlices(held), " ")
				for _, address := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
					if !strings.Contains(seen, address) {
						t.Errorf("no slice has %s after the write of %v", address, spellSlices([]*discoveryv1.EndpointSlice{next}))
					}
				}
			}
			if len(plan.update) != 2 {
				t.Errorf("%s, want two updates", operations(plan))
			}
		})
	}
}

func TestMirrorCountsWhatItLeavesOut(t *testing.T) {
	plan := planMirror(handMade(80, "10.0.0.1", "not-an-ip", "10.0.0.3", "!10.0.0.4", "!10.0.0.5"), nil, 3)
	if plan.invalid != 1 || plan.surplus != 1 {
		t.Errorf("%d invalid and %d surplus addresses, want 1 and 1", plan.invalid, plan.surplus)
	}
	if diff := cmp.Diff([]string{"IPv4 10.0.0.1 10.0.0.3 !10.0.0.4 @ 80"}, spellSlices(plan.create)); diff != "" {
		t.Errorf("slices (-want +got):\n%s", diff)
	}
}

func TestMirroredSliceIsRecognisable(t *testing.T) {
	endpoints := handMade(80, "10.0.0.1")
	endpoints.Annotations = map[string]string{"note": "kept", corev1.LastAppliedConfigAnnotation: "{}"}
	got := planMirror(endpoints, nil, 1000).create[0]
	want := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", GenerateName: "db-",
			Labels: map[string]string{
				"team":                       "blue",
				discoveryv1.LabelServiceName: "db",
				discoveryv1.LabelManagedBy:   EndpointSliceMirroringControllerName,
			},
			Annotations: map[string]string{"note": "kept"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Endpoints", Name: "db", UID: "uid-1",
				Controller: new(true), BlockOwnerDeletion: new(true),
			}},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{
			Addresses:  []string{"10.0.0.1"},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true)},
		}},
		Ports: []discoveryv1.EndpointPort{{
			Name: new("http"), Port: new(int32(80)), Protocol: new(corev1.ProtocolTCP), AppProtocol: new("h2c"),
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("slice (-want +got):\n%s", diff)
	}
}
