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
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

func TestTrafficPolicies(t *testing.T) {
	type scopes struct{ Internal, External Scope }
	inside := model.ServicePort{ClusterIPs: addrs("10.96.0.10")}
	nodePort, external, balanced := inside, inside, inside
	nodePort.NodePort = 30080
	external.ExternalIPs = addrs("192.0.2.1")
	balanced.LoadBalancerIPs = addrs("192.0.2.1")
	other := inside
	other.ExternalIPs = addrs("2001:db8::1")
	for name, tc := range map[string]struct {
		port  model.ServicePort
		local string
		want  scopes
	}{
		"Cluster":                    {nodePort, "", scopes{}},
		"internal Local":             {nodePort, "internal", scopes{LocalScope, ClusterScope}},
		"external Local, NodePort":   {nodePort, "external", scopes{ClusterScope, LocalScope}},
		"external Local, externalIP": {external, "external", scopes{ClusterScope, LocalScope}},
		"external Local, balanced":   {balanced, "external", scopes{ClusterScope, LocalScope}},
		"both":                       {balanced, "internal external", scopes{LocalScope, LocalScope}},
		"external Local where nothing is external":       {inside, "external", scopes{}},
		"external Local, externalIP of the other family": {other, "external", scopes{}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.port.Traffic.InternalLocal = strings.Contains(tc.local, "internal")
			tc.port.Traffic.ExternalLocal = strings.Contains(tc.local, "external")
			d, _ := Decide(tc.port, at("1 ready here"), model.IPv4, here)
			if got := (scopes{d.Internal, d.External}); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if listed := d.Local != nil; listed != (tc.want != scopes{}) {
				t.Errorf("Local is %v", d.Local)
			}
		})
	}
}

func TestSourceRanges(t *testing.T) {
	everyone := []netip.Prefix(nil)
	for name, tc := range map[string]struct {
		ranges []netip.Prefix
		own    []netip.Addr
		family model.Family
		want   []netip.Prefix
	}{
		"none":                           {nil, nil, model.IPv4, everyone},
		"only mistakes":                  {[]netip.Prefix{}, nil, model.IPv4, []netip.Prefix{}},
		"sorted, each once":              {prefixes("192.0.2.0/24", "10.0.0.0/8", "192.0.2.0/24"), nil, model.IPv4, prefixes("10.0.0.0/8", "192.0.2.0/24")},
		"only those of the family":       {prefixes("192.0.2.0/24", "2001:db8::/32"), nil, model.IPv6, prefixes("2001:db8::/32")},
		"none of the family":             {prefixes("192.0.2.0/24"), nil, model.IPv6, everyone},
		"everybody among others":         {prefixes("192.0.2.0/24", "0.0.0.0/0"), nil, model.IPv4, everyone},
		"everybody of the other family":  {prefixes("192.0.2.0/24", "::/0"), nil, model.IPv4, prefixes("192.0.2.0/24")},
		"the node inside admits the VIP": {prefixes("10.0.0.0/8"), addrs("172.16.0.1", "10.1.2.3"), model.IPv4, prefixes("10.0.0.0/8", "192.0.2.1/32", "198.51.100.1/32")},
		"the node outside does not":      {prefixes("10.0.0.0/8"), addrs("172.16.0.1"), model.IPv4, prefixes("10.0.0.0/8")},
	} {
		t.Run(name, func(t *testing.T) {
			port := servicePort(model.TCP)
			port.Traffic.SourceRanges = tc.ranges
			d, _ := Decide(port, nil, tc.family, Place{Addrs: tc.own})
			if diff := cmp.Diff(tc.want, d.SourceRanges, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Errorf("ranges (-want +got):\n%s", diff)
			}
		})
	}
}

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func TestSchedulingIsCarriedOver(t *testing.T) {
	port := servicePort(model.TCP)
	port.Traffic.Affinity, port.Traffic.AffinityScope = time.Minute, model.PerService
	port.Traffic.Scheduler = model.Maglev
	d, _ := Decide(port, nil, model.IPv4, here)
	if d.Affinity != time.Minute || d.AffinityScope != model.PerService || d.Scheduler != model.Maglev {
		t.Errorf("got %+v", d)
	}
	port.Traffic.Affinity = 0
	if d, _ := Decide(port, nil, model.IPv4, here); d.AffinityScope != model.PerPort {
		t.Error("a scope without affinity makes another decision")
	}
}

func TestWeightsOfEndpointsInUse(t *testing.T) {
	port := servicePort(model.TCP)
	port.Traffic.Scheduler = model.Weighted
	port.Traffic.Weights = &model.Weights{ByPod: map[string]uint16{"a": 3, "b": 1, "c": 9}}
	port.Traffic.InternalLocal = true
	endpoints := at("1 ready", "2 ready", "3 ready", "4", "5 leaving here")
	endpoints[0].Pod, endpoints[1].Pod, endpoints[3].Pod = "a", "b", "c"
	endpoints[2].Weight, endpoints[4].Weight = 7, 8
	want := map[netip.AddrPort]uint16{
		netip.MustParseAddrPort("10.0.0.1:80"): 3, netip.MustParseAddrPort("10.0.0.3:80"): 7, netip.MustParseAddrPort("10.0.0.5:80"): 8,
	}
	d, _ := Decide(port, endpoints, model.IPv4, here)
	if diff := cmp.Diff(want, d.Weights, comparable); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
	port.Traffic.Scheduler = model.Random
	if d, _ := Decide(port, endpoints, model.IPv4, here); d.Weights != nil {
		t.Errorf("another scheduler has weights: %v", d.Weights)
	}
}

func TestAddressesOfAPoolAreThoseOfTheFamilyThatHasSome(t *testing.T) {
	port := servicePort(model.TCP)
	port.ClusterIPs, port.Pooled = addrs("10.96.0.1", "fd00:96::1"), true
	port.LoadBalancerIPs = addrs("192.0.2.2")
	for family, want := range map[model.Family]bool{model.IPv4: true, model.IPv6: false} {
		if d, ok := Decide(port, nil, family, here); !ok || d.Pooled != want {
			t.Errorf("%s: pooled is %t of %t, want %t", family, d.Pooled, ok, want)
		}
	}
}

// full is a Decision of which no field is zero.
func full() Decision {
	ap := addrPorts("10.0.0.1:80", "10.0.0.2:80")
	return Decision{
		Name: model.ServicePortName{Name: "web"}, Family: model.IPv4, Port: 80, ClusterIP: addrs("10.96.0.1")[0],
		ExternalIPs: addrs("192.0.2.1"), LoadBalancerIPs: addrs("192.0.2.2"), Pooled: true, NodePort: 30080, Cluster: ap, Near: ap, Local: ap,
		Internal: LocalScope, External: LocalScope, Weights: map[netip.AddrPort]uint16{ap[0]: 2}, Scheduler: model.Maglev,
		Affinity: time.Second, AffinityScope: model.PerService, SourceRanges: prefixes("10.0.0.0/8"), Known: ap,
	}
}

func TestEqualSeesEveryField(t *testing.T) {
	if !Equal(full(), full()) {
		t.Error("a Decision is not equal to itself")
	}
	for i := range reflect.TypeFor[Decision]().NumField() {
		changed := full()
		field := reflect.ValueOf(&changed).Elem().Field(i)
		if field.IsZero() {
			t.Fatalf("full has no %s", reflect.TypeFor[Decision]().Field(i).Name)
		}
		field.SetZero()
		if Equal(full(), changed) || Equal(changed, full()) {
			t.Errorf("equal without %s", reflect.TypeFor[Decision]().Field(i).Name)
		}
	}
	admitsNoOne, admitsAll := Decision{SourceRanges: []netip.Prefix{}}, Decision{}
	if Equal(admitsNoOne, admitsAll) {
		t.Error("no source ranges and empty ones are equal")
	}
}

func TestEqualAllocatesNothing(t *testing.T) {
	a, b := full(), full()
	if n := testing.AllocsPerRun(100, func() { Equal(a, b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
