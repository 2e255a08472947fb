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

package policy

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

var comparable = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})

func addrPorts(texts ...string) []netip.AddrPort {
	var list []netip.AddrPort
	for _, text := range texts {
		list = append(list, netip.MustParseAddrPort(text))
	}
	return list
}

func addrs(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

func servicePort(protocol model.Protocol) model.ServicePort {
	return model.ServicePort{
		Name:            model.ServicePortName{Namespace: "default", Name: "web", Protocol: protocol},
		Port:            80,
		NodePort:        30080,
		ClusterIPs:      addrs("10.96.0.10", "fd00::a"),
		ExternalIPs:     addrs("192.0.2.1", "2001:db8::1"),
		LoadBalancerIPs: addrs("192.0.2.1", "198.51.100.1"),
	}
}

func TestEachFamilyHasItsOwnDecision(t *testing.T) {
	port := servicePort(model.TCP)
	v4 := Decision{
		Name: port.Name, Family: model.IPv4, Port: 80, NodePort: 30080,
		ClusterIP: netip.MustParseAddr("10.96.0.10"), LoadBalancerIPs: addrs("192.0.2.1", "198.51.100.1"),
	}
	v6 := Decision{
		Name: port.Name, Family: model.IPv6, Port: 80, NodePort: 30080,
		ClusterIP: netip.MustParseAddr("fd00::a"), ExternalIPs: addrs("2001:db8::1"),
	}
	for _, want := range []Decision{v4, v6} {
		got, ok := Decide(port, nil, want.Family, Place{})
		if diff := cmp.Diff(want, got, comparable); !ok || diff != "" {
			t.Errorf("%s: decided %v (-want +got):\n%s", want.Family, ok, diff)
		}
	}
	port.ClusterIPs = addrs("10.96.0.10")
	if _, ok := Decide(port, nil, model.IPv6, Place{}); ok {
		t.Error("a Service without an IPv6 ClusterIP is proxied for IPv6")
	}
}

func TestPlacesAreEqualInEveryField(t *testing.T) {
	full := func() Place { return Place{NodeName: "here", Zone: "a", Addrs: addrs("172.30.0.1")} }
	if !full().Equal(full()) {
		t.Error("a Place is not equal to itself")
	}
	for i := range reflect.TypeFor[Place]().NumField() {
		less := full()
		field := reflect.ValueOf(&less).Elem().Field(i)
		if field.IsZero() {
			t.Fatalf("full has no %s", reflect.TypeFor[Place]().Field(i).Name)
		}
		if field.SetZero(); full().Equal(less) || less.Equal(full()) {
			t.Errorf("equal without %s", reflect.TypeFor[Place]().Field(i).Name)
		}
	}
}

// Slices are written one by one, so that a rename has many steps.
func TestHalfARenameIsStillKnownToHoldFlows(t *testing.T) {
	service := func(port string) *corev1.Service {
		svc := benchService(0)
		svc.Spec.Ports[0].Name = port
		return svc
	}
	slice := func(part int, port string) *discoveryv1.EndpointSlice {
		eps := benchSlice(0, part, 1, 0)
		eps.Ports[0].Name = &port
		return eps
	}
	store := benchStore(1, 1)
	store.SetSlice(slice(1, "http"))
	decide := func() Decision {
		t.Helper()
		decisions := DecideAll(store, model.IPv4, here)
		if len(decisions) != 1 {
			t.Fatalf("%d decisions", len(decisions))
		}
		return decisions[0]
	}
	whole := decide()
	if len(whole.Cluster) != 2 || len(whole.Known) != 2 {
		t.Fatalf("%v of %v", whole.Cluster, whole.Known)
	}
	store.SetService(service("web"))
	for step, change := range []func(){func() {}, func() { store.SetSlice(slice(0, "web")) }, func() { store.SetSlice(slice(1, "web")) }} {
		change()
		d := decide()
		if !cmp.Equal(d.Known, whole.Known, comparable) || len(d.Cluster) != step {
			t.Errorf("after step %d flows of %v stay, want %v; %v take connections", step, d.Known, whole.Known, d.Cluster)
		}
	}
	if _, ok := (&Decider{Store: store, Family: model.IPv4}).Decide(model.ServicePortName{Name: "nobody"}); ok {
		t.Error("decided for who is not there")
	}
}

func TestWhereNodePortsAnswer(t *testing.T) {
	for _, tc := range []struct {
		node     Node
		features Features
		want     []netip.Addr
	}{
		{Node{Family: model.IPv4, NodePortAddrs: addrs("172.18.0.2", "127.0.0.5")}, Features{}, addrs("172.18.0.2")},
		{Node{Family: model.IPv4, NodePortAddrs: addrs("172.18.0.2")}, Features{LocalhostNodePorts: true}, addrs("172.18.0.2", "127.0.0.1")},
		{Node{Family: model.IPv6, NodePortAddrs: addrs("fd00::2", "::1")}, Features{LocalhostNodePorts: true}, addrs("fd00::2")},
	} {
		if got := tc.node.NodePortsAt(tc.features); !slices.Equal(got, tc.want) {
			t.Errorf("%+v: %v, want %v", tc.node, got, tc.want)
		}
	}
}
