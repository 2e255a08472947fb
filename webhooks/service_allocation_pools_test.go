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
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// withoutAddress asks for a NodePort and leaves the ClusterIP to the server.
func withoutAddress(service *corev1.Service) *corev1.Service {
	service.Spec.ClusterIP, service.Spec.ClusterIPs = "", nil
	return service
}

func poolObject(name, team string, ranges ...v1alpha1.PortRange) *v1alpha1.PortPool {
	return &v1alpha1.PortPool{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.PortPoolSpec{Ranges: ranges, NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": team}}},
	}
}

func namespaceOf(team string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team", Labels: map[string]string{"team": team}}}
}

func observe(t *testing.T, a *ServiceAllocation, pools ...*v1alpha1.PortPool) {
	t.Helper()
	var items []v1alpha1.PortPool
	for _, pool := range pools {
		items = append(items, *pool)
	}
	if err := a.Index.ObservePools(items, nil); err != nil {
		t.Fatal(err)
	}
}

func TestANamespaceGetsThePortsOfItsPools(t *testing.T) {
	red := poolObject("red", "red", "30001")
	world := newAllocationWorld(namespaceOf("red"), red)
	a := world.replica(t, allocator.Advisory, twoPorts)
	observe(t, a, red)
	a.Cached = newAllocationWorld().client // the namespace is so young that the watch has not told of it
	if got := patched(t, a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 0)), "bob"))); got != 30001 {
		t.Errorf("given %v, want the port of the pool", got)
	}
	for user, want := range map[string]string{
		"admin": "spec.ports[0].nodePort: Forbidden: no number is free in pool red (30001-30001)",
		"bob":   "spec.ports[0].nodePort: Forbidden: no number is free in the pools of namespace team",
	} {
		response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("second", 0)), user))
		if diff := cmp.Diff(want, causeOf(t, response)); diff != "" {
			t.Errorf("cause for %s (-want +got):\n%s", user, diff)
		}
	}
}

func TestPoolsThatDoNotGiveAreNamedToWhoMayReadThem(t *testing.T) {
	manual := poolObject("red", "red", "30001")
	manual.Spec.AutoAssign = new(false)
	const cause = "spec.ports[0].nodePort: Forbidden: no pool of namespace team gives numbers by itself: ask for one by number, " +
		"or have one of the pools do so (spec.autoAssign)"
	for user, want := range map[string]string{"admin": cause + ": pool red (30001-30001)", "bob": cause, "unknown": cause} {
		a := newAllocationWorld(namespaceOf("red"), manual).replica(t, allocator.Advisory, twoPorts)
		observe(t, a, manual)
		response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 0)), user))
		if diff := cmp.Diff(want, causeOf(t, response)); diff != "" {
			t.Errorf("cause for %s (-want +got):\n%s", user, diff)
		}
	}
}

func TestPoolsAreConfirmedBeforeTheyRefuse(t *testing.T) {
	manual := poolObject("red", "red", "30001")
	manual.Spec.AutoAssign = new(false)
	for name, tc := range map[string]struct {
		live []client.Object
		want string // "" gives a port
	}{
		"as the index has it": {
			[]client.Object{namespaceOf("red"), manual},
			"spec.ports[0].nodePort: Forbidden: no pool of namespace team gives numbers by itself: ask for one by number, or have one of the pools do so (spec.autoAssign): pool red (30001-30001)",
		},
		"the pool gives since a moment ago":           {[]client.Object{namespaceOf("red"), poolObject("red", "red", "30001")}, ""},
		"the namespace was labelled a moment ago":     {[]client.Object{namespaceOf("blue"), manual}, ""},
		"another pool was made a moment ago":          {[]client.Object{namespaceOf("red"), manual, poolObject("more", "red", "30000")}, ""},
		"the pool was deleted a moment ago, with all": {[]client.Object{namespaceOf("red")}, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAllocationWorld(tc.live...).replica(t, allocator.Advisory, twoPorts)
			a.Cached = newAllocationWorld(namespaceOf("red")).client
			observe(t, a, manual)
			response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 0)), "admin"))
			switch tc.want {
			case "":
				patched(t, response)
			case "none":
				if !response.Allowed || response.Patch != nil {
					t.Errorf("response is %+v, want it left to the server", response)
				}
			default:
				if diff := cmp.Diff(tc.want, causeOf(t, response)); diff != "" {
					t.Errorf("cause (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestNodePortsOfLoadBalancersDefaultByPool(t *testing.T) {
	sparing := poolObject("sparing", "red", "30001")
	sparing.Spec.AllocateLoadBalancerNodePorts = new(false)
	sparing.Spec.Priority = 1
	generous := poolObject("generous", "red", "30010")
	generous.Spec.AllocateLoadBalancerNodePorts = new(true)
	balancer := func(edits ...func(*corev1.Service)) *corev1.Service {
		s := withoutAddress(nodePortService("web", 0))
		s.Spec.Type, s.Spec.AllocateLoadBalancerNodePorts = corev1.ServiceTypeLoadBalancer, new(true) // the server's default
		for _, edit := range edits {
			edit(s)
		}
		return s
	}
	applied := func(raw string) func(*corev1.Service) {
		return func(s *corev1.Service) {
			s.ManagedFields = []metav1.ManagedFieldsEntry{{Operation: metav1.ManagedFieldsOperationApply, FieldsV1: &metav1.FieldsV1{Raw: []byte(raw)}}}
		}
	}
	for name, tc := range map[string]struct {
		service *corev1.Service
		team    string
		want    bool // is set to false
	}{
		"nothing is said":        {balancer(), "red", true},
		"in another namespace":   {balancer(), "blue", false},
		"it is no load balancer": {balancer(func(s *corev1.Service) { s.Spec.Type, s.Spec.AllocateLoadBalancerNodePorts = "NodePort", nil }), "red", false},
		"false is said":          {balancer(func(s *corev1.Service) { s.Spec.AllocateLoadBalancerNodePorts = new(false) }), "red", false},
		"a port is asked for":    {balancer(func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 30001 }), "red", false},
		"true is said to kubectl apply": {balancer(func(s *corev1.Service) {
			s.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: `{"kind":"Service","spec":{"allocateLoadBalancerNodePorts":true}}`}
		}), "red", false},
		"nothing is said to kubectl apply": {balancer(func(s *corev1.Service) {
			s.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: `{"kind":"Service","spec":{"type":"LoadBalancer"}}`}
		}), "red", true},
		"true is said to server-side apply":  {balancer(applied(`{"f:metadata":{},"f:spec":{"f:allocateLoadBalancerNodePorts":{}}}`)), "red", false},
		"nothing is said, server-side apply": {balancer(applied(`{"f:spec":{"f:type":{}}}`)), "red", true},
	} {
		t.Run(name, func(t *testing.T) {
			world := newAllocationWorld(namespaceOf(tc.team), sparing, generous)
			a := world.replica(t, allocator.Advisory, twoPorts)
			if err := a.Index.ObservePools([]v1alpha1.PortPool{*sparing, *generous}, nil); err != nil {
				t.Fatal(err)
			}
			response := a.Handle(context.Background(), create(t, tc.service, "bob"))
			if !response.Allowed {
				t.Fatalf("response is %+v", response.Result)
			}
			if got := setsFalse(t, response); got != tc.want {
				t.Errorf("set to false: %v, want %v: %s", got, tc.want, response.Patch)
			}
			if tc.want && len(world.claims(t)) > 0 {
				t.Errorf("claimed %v for a load balancer without node ports", world.claims(t))
			}
		})
	}
}

func setsFalse(t *testing.T, response admission.Response) bool {
	t.Helper()
	if response.Patch == nil {
		return false
	}
	var patch []jsonPatch
	if err := json.Unmarshal(response.Patch, &patch); err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(patch, func(p jsonPatch) bool {
		return p.Path == "/spec/allocateLoadBalancerNodePorts" && p.Value == false
	})
}
