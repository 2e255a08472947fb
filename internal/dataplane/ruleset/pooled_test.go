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
	"net/netip"
	"slices"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// pooled is a ServicePort with an address from a pool.
func pooled(family model.Family, name string, host int) policy.Decision {
	d := clusterIP(family, name, host, model.TCP, endpoints(family, podNet, host))
	d.LoadBalancerIPs, d.Pooled = []netip.Addr{ip(family, publicNet, 1)}, true
	return d
}

// A foreign hand may take the way to the endpoints, and a plan may be carried out
// by half: who is told then that there is nobody would not come again.
func TestAPortWhoseWayIsMissingIsNotRefused(t *testing.T) {
	for _, family := range families {
		for _, scope := range []policy.Scope{policy.ClusterScope, policy.LocalScope} {
			d := pooled(family, "web", 1)
			if d.External = scope; scope == policy.LocalScope {
				d.Local = d.Near
			}
			p := Planner{Features: policy.Features{RefusePooled: true}}
			p.Sync(testNode(family), []policy.Decision{d}, nil)
			elements := p.Elements()
			clear(elements[Frontends])
			for _, to := range []netip.Addr{d.ClusterIP, d.LoadBalancerIPs[0]} {
				for port, want := range map[uint16]fate{80: {Dropped: true}, 81: {Refused: true}} {
					at := Packet{Source: ip(family, publicNet, 77), To: Frontend{model.TCP, netip.AddrPortFrom(to, port)}}
					got := fateOf(family, Tracer{NewSchema(family, p.Features), elements}.Trace(at))
					if got.Dropped != want.Dropped || got.Refused != want.Refused {
						t.Errorf("%s, scope %d, %s: %+v, want %+v", family, scope, at.To, got, want)
					}
				}
			}
		}
	}
}

func TestAnAddressIsRefusedAfterItsPortsHaveComeAndNotWhenTheyGo(t *testing.T) {
	family := model.IPv4
	features := policy.Features{RefusePooled: true}
	p, k := Planner{Features: features}, newKernel(t)
	k.carryOut(p.Sync(testNode(family), nil, nil))
	of := func(plan Plan, set string) int {
		t.Helper()
		k.carryOut(plan)
		return slices.IndexFunc(plan.Edits, func(e Edit) bool { return e.Set == set })
	}
	web, mail := pooled(family, "web", 1), pooled(family, "mail", 2)
	mail.Port = 25
	if plan := p.Apply([]policy.Decision{web}, nil); of(plan, PooledVIPs) != len(plan.Edits)-1 {
		t.Errorf("it comes before others:\n%s", plan.Text(NewSchema(family, features)))
	}
	if plan := p.Apply([]policy.Decision{mail}, nil); of(plan, PooledVIPs) >= 0 {
		t.Error("an address that is there is added")
	}
	if plan := p.Apply(nil, []model.ServicePortName{web.Name}); of(plan, PooledVIPs) >= 0 {
		t.Error("the address goes although another has it")
	}
	if plan := p.Apply(nil, []model.ServicePortName{mail.Name}); of(plan, PooledVIPs) != 0 {
		t.Errorf("it goes after others:\n%s", plan.Text(NewSchema(family, features)))
	}
}
