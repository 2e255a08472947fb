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

package balancer

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// TestSharing has two Services; the second gets the address of the first, or the
// next one. What holds of the two holds the other way round.
func TestSharing(t *testing.T) {
	const namespace, cluster, never = v1alpha1.SharingNamespace, v1alpha1.SharingCluster, v1alpha1.SharingNever
	udp := func(s *Service) { s.Ports[0].Protocol = corev1.ProtocolUDP }
	for name, tc := range map[string]struct {
		pool          v1alpha1.AddressSharing
		first, second Service
		shared        bool
	}{
		"one key, other ports":                  {namespace, svc("a", sharing("k", 80)), svc("b", sharing("k", 81)), true},
		"one port, other protocols":             {namespace, svc("a", sharing("k", 80)), svc("b", sharing("k", 80), udp), true},
		"one port":                              {namespace, svc("a", sharing("k", 80)), svc("b", sharing("k", 80)), false},
		"one of several ports":                  {namespace, svc("a", sharing("k", 80)), svc("b", sharing("k", 81), func(s *Service) { s.Ports = append(s.Ports, Port{corev1.ProtocolTCP, 80}) }), false},
		"several ports, one in common":          {namespace, svc("a", sharing("k", 9), ports(80, 7, 443)), svc("b", sharing("k", 9), ports(8, 443, 6)), false},
		"several ports, none in common":         {namespace, svc("a", sharing("k", 9), ports(80, 7, 443)), svc("b", sharing("k", 9), ports(8, 444, 6)), true},
		"other keys":                            {namespace, svc("a", sharing("k", 80)), svc("b", sharing("l", 81)), false},
		"one without a key":                     {namespace, svc("a", sharing("k", 80)), svc("b", sharing("", 81)), false},
		"both without":                          {namespace, svc("a", sharing("", 80)), svc("b", sharing("", 81)), false},
		"the pool shares nothing":               {never, svc("a", sharing("k", 80)), svc("b", sharing("k", 81)), false},
		"other namespaces, in a pool for one":   {namespace, svc("a", sharing("k", 80, "red")), svc("red/b", sharing("k", 81, "default")), false},
		"other namespaces by consent":           {cluster, svc("a", sharing("k", 80, "blue", "red")), svc("red/b", sharing("k", 81, "default")), true},
		"consent of the first alone":            {cluster, svc("a", sharing("k", 80, "red")), svc("red/b", sharing("k", 81)), false},
		"consent of the second alone":           {cluster, svc("a", sharing("k", 80)), svc("red/b", sharing("k", 81, "default")), false},
		"one namespace needs no consent":        {cluster, svc("a", sharing("k", 80)), svc("b", sharing("k", 81)), true},
		"one Local":                             {namespace, svc("a", sharing("k", 80), local), svc("b", sharing("k", 81)), true},
		"both Local, one selector":              {namespace, svc("a", sharing("k", 80), local, selecting("x")), svc("b", sharing("k", 81), local, selecting("x")), true},
		"both Local, other selectors":           {namespace, svc("a", sharing("k", 80), local), svc("b", sharing("k", 81), local), false},
		"both Local, no selectors":              {namespace, svc("a", sharing("k", 80), local, unselecting), svc("b", sharing("k", 81), local, unselecting), false},
		"both Local, one selector, two of them": {cluster, svc("a", sharing("k", 80, "red"), local, selecting("x")), svc("red/b", sharing("k", 81, "default"), local, selecting("x")), false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, pair := range [][2]Service{{tc.first, tc.second}, {with(tc.second, older), tc.first}} {
				world := World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1-192.0.2.2", letting(tc.pool))}, Services: pair[:]}
				book := Open(world)
				book.Settle()
				first, _ := book.Decision(pair[0].Key)
				second, _ := book.Decision(pair[1].Key)
				if got := first.Addrs[0] == second.Addrs[0]; got != tc.shared || first.Addrs[0].String() != "192.0.2.1" {
					t.Errorf("%s has %v, %s has %v", pair[0].Key, first.Addrs, pair[1].Key, second.Addrs)
				}
				again(t, world, book)
			}
		})
	}
}

func ports(numbers ...int32) edit {
	return func(s *Service) {
		s.Ports = nil
		for _, number := range numbers {
			s.Ports = append(s.Ports, Port{corev1.ProtocolTCP, number})
		}
	}
}

func unselecting(s *Service) { s.Selector = nil }
func older(s *Service)       { s.Created = s.Created.AddDate(-1, 0, 0) }

func TestWhyAnAddressIsNotShared(t *testing.T) {
	for name, tc := range map[string]struct {
		second Service
		want   string
		reason Reason
	}{
		"a port of one namespace": {svc("b", sharing("k", 80), wish("192.0.2.1")), "192.0.2.1 is not to be had: Service a has it, and a port of this Service", ReasonSharing},
		"another key":             {svc("b", sharing("l", 80), wish("192.0.2.1")), "192.0.2.1 is not to be had: Service a has it, and shares it with nobody of this sharing key", ReasonInUse},
		"what is of another namespace is not named": {svc("red/b", sharing("k", 81, "default"), wish("192.0.2.1")),
			"192.0.2.1 is not to be had: another namespace's Service has it, and not both name the other's namespace in the annotation switchyard.dev/sharing-namespaces", ReasonSharing},
	} {
		t.Run(name, func(t *testing.T) {
			book := Open(World{
				Pools:    []allocator.AddrPool{pool("p", "192.0.2.1-192.0.2.2", letting(v1alpha1.SharingCluster))},
				Services: []Service{with(svc("a", sharing("k", 80)), older), tc.second}})
			book.Settle()
			d, _ := book.Decision(tc.second.Key)
			if d.Message != tc.want || d.Reason != tc.reason {
				t.Errorf("%s: %s, want %s: %s", d.Reason, d.Message, tc.reason, tc.want)
			}
		})
	}
}

// TestTermsOfHolders: they are worked out once for each state of a Service, as a
// claim is compared with them again and again.
func TestTermsOfHolders(t *testing.T) {
	a, b := svc("a", sharing("k", 80)), svc("b", sharing("k", 81))
	book := Open(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a, b}})
	book.Settle()
	addr := netip.MustParseAddr("192.0.2.1")
	expect(t, "at first", textOf(book.holdersOf(addr)), textOf(claim("192.0.2.1", a, b).Holders))
	b = with(b, sharing("k", 82))
	book.Observe(b)
	book.Settle()
	expect(t, "after a change", textOf(book.holdersOf(addr)), textOf(claim("192.0.2.1", a, b).Holders))
	if n := testing.AllocsPerRun(10, func() { book.holdersOf(addr) }); n > 4 {
		t.Errorf("looking again allocates %v times", n)
	}
}

func TestAStatusIsNoReasonToServeOthers(t *testing.T) {
	a := svc("a", sharing("k", 80))
	book := Open(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a, svc("b", sharing("k", 80))}})
	book.Settle()
	book.Observe(with(a, status("192.0.2.1")))
	if len(book.dirty)+len(book.freed.pools) > 0 {
		t.Error("others are looked at again")
	}
	book.Observe(with(a, sharing("k", 81)))
	if len(book.dirty) != 1 || len(book.freed.pools) != 1 {
		t.Error("another port is nothing to others")
	}
}
