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
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func TestAddressesThatPodsWillGet(t *testing.T) {
	world := &memory{
		nodes:      []*corev1.Node{node("node-1", "192.0.2.1", "10.244.1.0/24", "fd00:244:1::/64"), node("router", "10.244.1.1")},
		pods:       []*corev1.Pod{at(pod("mine"), "default", "10.244.1.6", "fd00:244:1::6"), at(pod("db"), "shop", "10.244.1.5")},
		unseenPods: []*corev1.Pod{at(pod("young"), "default", "10.244.1.7"), at(pod("theirs"), "shop", "10.244.1.8")},
	}
	refused := wantVerdict{errors: []string{"this is inside the podCIDRs of node node-1 and no pod of this namespace has it, so another namespace's may get it (CVE-2021-25740); add it when the pod has it (rule X9)"}}
	for name, tc := range map[string]struct {
		before, after []Backend
		want          wantVerdict
	}{
		"X9: nobody's yet":                 {after: BackendsOfSlice(slice(80, "10.244.1.77")), want: refused},
		"X9: nobody's yet, in Endpoints":   {after: BackendsOfEndpoints(endpoints(80, "10.244.1.77")), want: refused},
		"X9: nobody's yet, IPv6":           {after: BackendsOfSlice(slice(80, "fd00:244:1::77")), want: refused},
		"X9: another's that is not cached": {after: BackendsOfSlice(slice(80, "10.244.1.8")), want: refused},
		"a pod of the namespace":           {after: BackendsOfSlice(slice(80, "10.244.1.6", "fd00:244:1::6"))},
		"one that is not cached yet":       {after: BackendsOfSlice(slice(80, "10.244.1.7"))},
		"a node's own address":             {after: BackendsOfSlice(slice(80, "10.244.1.1"))},
		"an address that is no pod's":      {after: BackendsOfSlice(slice(80, "10.244.2.77", "192.0.2.1", "198.51.100.7"))},
		"what was there before may stay":   {before: BackendsOfSlice(slice(80, "10.244.1.77")), after: BackendsOfSlice(slice(81, "10.244.1.77"))},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ValidateBackends(t.Context(), world, nil, BackendChange{Namespace: "default", Before: tc.before, After: tc.after})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

func TestPodsOfANamespaceAreReadPastTheCache(t *testing.T) {
	finished := at(pod("finished"), "default", "10.244.1.7")
	finished.Status.Phase = corev1.PodSucceeded
	pods := []client.Object{at(pod("young"), "default", "10.244.1.7"), finished, at(pod("theirs"), "shop", "10.244.1.7"), at(pod("other"), "default", "10.244.1.8")}
	live := fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(pods...).WithIndex(&corev1.Pod{}, "status.podIP", func(object client.Object) []string {
		return []string{object.(*corev1.Pod).Status.PodIPs[0].IP}
	}).Build()
	got, err := (&Cluster{Live: live}).PodsOfNamespaceByIP(t.Context(), "default", netip.MustParseAddr("10.244.1.7"))
	if err != nil || strings.Join(names(got), ",") != "young" {
		t.Errorf("%v, %v", names(got), err)
	}
}

// A slice that names no Service is read by no proxy.
func TestASliceWithoutAServiceIsJudgedWhenItGetsOne(t *testing.T) {
	world := &memory{
		pods:     []*corev1.Pod{at(pod("db"), "shop", "10.244.1.5")},
		services: []*corev1.Service{service("web", clusterIP("10.96.0.50"))},
	}
	of := func(name string, ips ...string) *discoveryv1.EndpointSlice {
		s := slice(80, ips...)
		s.ObjectMeta = metav1.ObjectMeta{Namespace: "default", Name: "slice", Labels: map[string]string{"multicluster.kubernetes.io/service-name": "db"}}
		if name != "" {
			s.Labels[discoveryv1.LabelServiceName] = name
		}
		return s
	}
	bad := []string{"10.244.1.5", "10.96.0.50"}
	refused := wantVerdict{errors: []string{"rule X9", "rule X8"}}
	for name, tc := range map[string]struct {
		old, new *discoveryv1.EndpointSlice
		want     wantVerdict
	}{
		"of no Service":             {new: of("", bad...)},
		"still of none":             {old: of("", "192.0.2.9"), new: of("", bad...)},
		"of a Service":              {new: of("db", bad...), want: refused},
		"given to a Service":        {old: of("", bad...), new: of("db", bad...), want: refused},
		"of a Service as before":    {old: of("db", bad...), new: of("db", bad...)},
		"taken away from a Service": {old: of("db", bad...), new: of("", bad...)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ValidateBackends(t.Context(), world, nil, sliceChange(tc.old, tc.new))
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}
