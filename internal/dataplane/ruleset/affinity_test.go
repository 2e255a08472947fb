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

package ruleset

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// randomSchedule gives d one of all ways to choose an endpoint.
func randomSchedule(r *rand.Rand, d *policy.Decision) {
	d.Affinity = []time.Duration{0, 0, time.Hour, 3 * time.Hour}[r.IntN(4)]
	d.Scheduler = []policy.Scheduler{model.Random, model.Maglev, model.Weighted}[r.IntN(3)]
	if d.Scheduler == model.Weighted {
		d.Weights = map[netip.AddrPort]uint16{}
		for _, endpoint := range d.Cluster {
			d.Weights[endpoint] = uint16(1 + r.IntN(3))
		}
	}
}

// sticky is every kind of ServicePort, web with affinity.
func sticky(family model.Family, change func(web *policy.Decision)) []policy.Decision {
	all := everyKind(family)
	for i := range all {
		if all[i].Name.Name == "web" {
			all[i].Affinity = 3 * time.Hour
			change(&all[i])
			all[i].Near = all[i].Cluster
		}
	}
	return all
}

func webOf(all []policy.Decision) policy.Decision {
	for _, d := range all {
		if d.Name.Name == "web" {
			return d
		}
	}
	panic("there is no web")
}

func TestAChangeOfAStickyListIsAsSmallAsItCanBe(t *testing.T) {
	family := model.IPv4
	schema := NewSchema(family, policy.Features{})
	for name, tc := range map[string]struct {
		change func(web *policy.Decision)
		want   string
	}{
		"nothing": {func(*policy.Decision) {}, ""},
		"an endpoint replaced": {
			func(web *policy.Decision) { web.Cluster = endpoints(family, podNet, 1, 3, 4) },
			"replace sticky { tcp . 80 . 10:3 : 10.1.0.4 . 8080 }\n" +
				"replace sticky { tcp . 30080 . 10:3 : 10.1.0.4 . 8080 }\n" +
				"add hairpin { 10.1.0.4 . 10.1.0.4 }\n" +
				"delete hairpin { 10.1.0.2 . 10.1.0.2 }\n",
		},
		"an endpoint added": {
			func(web *policy.Decision) { web.Cluster = endpoints(family, podNet, 1, 2, 3, 4) },
			"add sticky { tcp . 80 . 30:3 : 10.1.0.4 . 8080 }\n" +
				"add sticky { tcp . 30080 . 30:3 : 10.1.0.4 . 8080 }\n" +
				"add draws { 0:3 . 3 : 30:3 }\n" +
				"add hairpin { 10.1.0.4 . 10.1.0.4 }\n",
		},
		"an endpoint removed": {
			func(web *policy.Decision) { web.Cluster = endpoints(family, podNet, 2, 3) },
			"replace draws { 0:3 . 0 : 20:3 }\n" +
				"delete draws { 0:3 . 2 : 20:3 }\n" +
				"delete sticky { tcp . 80 . 0:3 : 10.1.0.1 . 8080 }\n" +
				"delete sticky { tcp . 30080 . 0:3 : 10.1.0.1 . 8080 }\n",
		},
		"a VIP added": {
			func(web *policy.Decision) { web.ExternalIPs = append(web.ExternalIPs, ip(family, publicNet, 9)) },
			"add external-frontends { 10.200.0.9 . tcp . 80 }\n" +
				"add frontends { 10.200.0.9 . tcp . 80 : 200:3 }\n",
		},
		"another timeout": {
			func(web *policy.Decision) { web.Affinity = time.Minute },
			"add sticky chains { sticky-60 }\n" +
				"add classes { 210:0 : goto sticky-60 }\n" +
				"replace frontends { 10.96.0.10 . tcp . 80 : 210:3 }\n" +
				"replace frontends { 10.200.0.1 . tcp . 80 : 210:3 }\n" +
				"replace nodeports { tcp . 30080 : 210:3 }\n" +
				"delete classes { 200:0 : goto sticky-10800 }\n" +
				"delete sticky chains { sticky-10800 }\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var p Planner
			k := newKernel(t)
			k.carryOut(p.Sync(testNode(family), sticky(family, func(*policy.Decision) {}), nil))
			plan := p.Apply([]policy.Decision{webOf(sticky(family, tc.change))}, nil)
			k.carryOut(plan)
			if diff := cmp.Diff(tc.want, plan.Text(schema)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// pin is what a packet of the client would leave behind.
func (k *kernel) pin(list uint32, client netip.Addr, number uint32) {
	k.elements.Add(Element{Affinity, AffinityKey(list, client), string(appendNumber(nil, pin(list, number)))})
}

func TestAPinLeadsToItsEndpointWhileThatLasts(t *testing.T) {
	for _, family := range families {
		client := ip(family, podNet, 77)
		all := sticky(family, func(*policy.Decision) {})
		var p Planner
		k := newKernel(t)
		k.carryOut(p.Sync(testNode(family), all, nil))
		servers := func(to Frontend) string {
			var list []string
			for _, target := range (Tracer{NewSchema(family, policy.Features{}), k.elements}).Trace(Packet{Source: client, To: to}).Targets {
				list = append(list, target.Endpoint.Addr().String())
			}
			return fmt.Sprint(list)
		}
		host := func(hosts ...int) string {
			var list []string
			for _, h := range hosts {
				list = append(list, ip(family, podNet, h).String())
			}
			return fmt.Sprint(list)
		}
		clusterIP := Frontend{model.TCP, netip.AddrPortFrom(ip(family, serviceNet, 10), 80)}
		ways := []Frontend{
			clusterIP,
			{model.TCP, netip.AddrPortFrom(ip(family, publicNet, 1), 80)},
			{model.TCP, netip.AddrPortFrom(ip(family, nodeNet, 2), 30080)},
		}
		for _, to := range ways {
			if got, want := servers(to), host(1, 2, 3); got != want {
				t.Errorf("%s: without a pin %s, want %s", to, got, want)
			}
		}
		list := Tracer{NewSchema(family, policy.Features{}), k.elements}.Trace(Packet{Source: client, To: clusterIP}).List
		k.pin(list, client, 1)
		for _, to := range ways {
			if got, want := servers(to), host(2); got != want {
				t.Errorf("%s: with a pin %s, want %s", to, got, want)
			}
		}
		k.carryOut(p.Apply([]policy.Decision{webOf(sticky(family, func(web *policy.Decision) { web.Cluster = endpoints(family, podNet, 1, 3) }))}, nil))
		for _, to := range ways {
			if got, want := servers(to), host(1, 3); got != want {
				t.Errorf("%s: with a pin to none %s, want %s", to, got, want)
			}
		}
	}
}

// TestTheWayDoesNotMatterToPortsThatShare goes random ways with Services whose
// ports have one affinity, or not, and the same hosts, or not.
func TestTheWayDoesNotMatterToPortsThatShare(t *testing.T) {
	for _, family := range families {
		for seed := range uint64(10) {
			t.Run(fmt.Sprintf("%s %d", family, seed), func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				p, k, s := &Planner{}, newKernel(t), state{}
				k.carryOut(p.Sync(testNode(family), nil, nil))
				for range 30 {
					changed, removed := randomPorts(r, family, s)
					if r.IntN(8) == 0 {
						p = &Planner{}
						k.carryOut(p.Sync(testNode(family), s.list(), k.elements))
						if again := p.Sync(testNode(family), s.list(), k.elements); len(again.Edits) > 0 {
							t.Fatalf("a second sync changes:\n%s", again.Text(NewSchema(family, policy.Features{})))
						}
					} else {
						k.carryOut(p.Apply(changed, removed))
					}
					compareWithColdStart(t, family, p, k, s)
				}
				var all []model.ServicePortName
				for name := range s {
					all = append(all, name)
				}
				k.carryOut(p.Apply(nil, all))
				if len(p.sharing)+len(p.timeouts)+len(p.claims) != 0 || len(p.ids.free) != int(p.ids.last) {
					t.Errorf("left behind: %v, %v, %d claims, %d of %d ids", p.sharing, p.timeouts, len(p.claims), len(p.ids.free), p.ids.last)
				}
			})
		}
	}
}

// randomPorts changes the Service as a whole, or one port of it.
func randomPorts(r *rand.Rand, family model.Family, s state) (changed []policy.Decision, removed []model.ServicePortName) {
	hosts := r.Perm(8)[:r.IntN(6)]
	slices.Sort(hosts)
	affinity := []time.Duration{0, time.Hour, time.Hour, time.Minute}[r.IntN(4)]
	scope := []policy.AffinityScope{model.PerPort, model.PerService, model.PerService}[r.IntN(3)]
	only := r.IntN(8)
	for i := range 4 {
		if only < 4 && i != only {
			continue
		}
		d := clusterIP(family, "web", 1, []model.Protocol{model.TCP, model.UDP}[i%2], endpoints(family, podNet, hosts...))
		d.Name.Port, d.Port = fmt.Sprint("p", i), uint16(80+i)
		delete(s, d.Name)
		if r.IntN(6) == 0 {
			removed = append(removed, d.Name)
			continue
		}
		d.Affinity, d.AffinityScope = affinity, scope
		if r.IntN(2) == 0 {
			d.NodePort = []uint16{uint16(30000 + i), uint16(80 + (i+2)%4)}[r.IntN(2)]
		}
		if r.IntN(2) == 0 && len(hosts) > 0 {
			d.External, d.Local = policy.LocalScope, d.Cluster[:r.IntN(len(hosts))]
		}
		s[d.Name] = d
		changed = append(changed, d)
	}
	return changed, removed
}

func TestPortsOfAServiceShareOneListOfPins(t *testing.T) {
	family := model.IPv4
	var p Planner
	k := newKernel(t)
	port := func(name string, number uint16, hosts ...int) policy.Decision {
		d := clusterIP(family, "web", 1, model.TCP, endpoints(family, podNet, hosts...))
		d.Name.Port, d.Port, d.Affinity, d.AffinityScope = name, number, time.Hour, model.PerService
		return d
	}
	a, b, c := port("a", 80, 1, 2, 3), port("b", 81, 1, 2, 3), port("c", 82, 1, 2)
	k.carryOut(p.Sync(testNode(family), []policy.Decision{c, b, a}, nil))
	id := func(d policy.Decision) uint32 { return p.ports[d.Name].cluster.id }
	if id(a) != id(b) || id(a) == id(c) {
		t.Errorf("a, b and c, which differs, have %d, %d and %d", id(a), id(b), id(c))
	}
	shared := id(a)
	k.carryOut(p.Apply(nil, []model.ServicePortName{a.Name}))
	if id(b) != shared {
		t.Errorf("without a, b has %d in place of %d: its clients lose their pins", id(b), shared)
	}
	k.carryOut(p.Apply([]policy.Decision{port("c", 82, 1, 2, 3)}, nil))
	if id(c) != shared {
		t.Errorf("c has the same hosts now and %d, want %d", id(c), shared)
	}
}
