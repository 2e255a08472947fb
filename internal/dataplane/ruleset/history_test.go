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
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// state is what should exist, by name.
type state map[model.ServicePortName]policy.Decision

func (s state) list() []policy.Decision { return slices.Collect(maps.Values(s)) }

// TestTheWayDoesNotMatter goes a random way of changes, with restarts on it,
// and compares each stop with a cold start at the same place.
func TestTheWayDoesNotMatter(t *testing.T) {
	for _, family := range families {
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("%s %d", family, seed), func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 0))
				p, k, s := &Planner{}, newKernel(t), state{}
				k.carryOut(p.Sync(testNode(family), nil, nil))
				for range 30 {
					changed, removed := randomChange(r, family, s)
					if r.IntN(8) == 0 { // restart, having missed the change
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
			})
		}
	}
}

func compareWithColdStart(t *testing.T, family model.Family, p *Planner, k *kernel, s state) {
	t.Helper()
	if diff := cmp.Diff(p.Elements(), nonEmpty(k.elements)); diff != "" {
		t.Fatalf("the planner is wrong about the kernel (-planner +kernel):\n%s", diff)
	}
	var cold Planner
	cold.Sync(testNode(family), s.list(), nil)
	schema := NewSchema(family, policy.Features{})
	if diff := cmp.Diff(cold.Text(schema), p.Text(schema)); diff != "" {
		t.Fatalf("-cold start +long way:\n%s", diff)
	}
	for _, d := range s {
		to := Frontend{d.Name.Protocol, netip.AddrPortFrom(d.ClusterIP, d.Port)}
		got := Tracer{schema, k.elements}.Trace(Packet{Source: ip(family, podNet, 999), To: to})
		want := len(d.Cluster)
		if d.Scheduler == model.Maglev && d.Affinity == 0 {
			want = min(want, 1) // whose it is follows from the client
		}
		if got.Dropped || len(got.Targets) != want || got.Refused != (len(d.Cluster) == 0) {
			t.Fatalf("%s with %d endpoints: %+v", d.Name, len(d.Cluster), got)
		}
	}
}

func nonEmpty(es Elements) Elements {
	es = maps.Clone(es)
	maps.DeleteFunc(es, func(_ string, elements map[string]string) bool { return len(elements) == 0 })
	return es
}

// randomChange changes some of eight ServicePorts and remembers it in s.
func randomChange(r *rand.Rand, family model.Family, s state) (changed []policy.Decision, removed []model.ServicePortName) {
	for range 1 + r.IntN(3) {
		i := r.IntN(8)
		protocol := []model.Protocol{model.TCP, model.UDP, model.SCTP}[i%3]
		d := clusterIP(family, fmt.Sprint("s", i), i+1, protocol, nil)
		if slices.ContainsFunc(changed, func(c policy.Decision) bool { return c.Name == d.Name }) {
			continue
		}
		delete(s, d.Name)
		if r.IntN(4) == 0 {
			removed = append(removed, d.Name)
			continue
		}
		for host := range r.IntN(20) {
			if r.IntN(2) == 0 {
				d.Cluster = append(d.Cluster, endpoints(family, podNet+r.IntN(2), host)...)
			}
		}
		slices.SortFunc(d.Cluster, netip.AddrPort.Compare)
		if r.IntN(2) == 0 {
			d.NodePort = uint16(30000 + i)
		}
		for n := range r.IntN(3) {
			d.ExternalIPs = append(d.ExternalIPs, ip(family, publicNet, n+r.IntN(2)*i))
		}
		slices.SortFunc(d.ExternalIPs, netip.Addr.Compare)
		d.ExternalIPs = slices.Compact(d.ExternalIPs)
		randomSchedule(r, &d)
		s[d.Name] = d
		removed = slices.DeleteFunc(removed, func(n model.ServicePortName) bool { return n == d.Name })
		changed = append(changed, d)
	}
	return changed, removed
}
