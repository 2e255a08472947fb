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
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// changed is every kind of ServicePort with one change to web.
func changed(family model.Family, change func(web *policy.Decision)) policy.Decision {
	for _, d := range everyKind(family) {
		if d.Name.Name == "web" {
			change(&d)
			d.Near = d.Cluster
			return d
		}
	}
	panic("there is no web")
}

func TestOnlyEndpointsNearByMayBeTheirOwnClients(t *testing.T) {
	for _, family := range families {
		d := clusterIP(family, "web", 10, model.TCP, endpoints(family, podNet, 1, 2))
		d.Near = d.Cluster[:1]
		var p Planner
		p.Sync(testNode(family), []policy.Decision{d}, nil)
		near := map[string]string{hairpinKey(d.Near[0].Addr()): ""}
		if diff := cmp.Diff(near, p.Elements()[Hairpin]); diff != "" {
			t.Errorf("clients of a ClusterIP (-want +got):\n%s", diff)
		}
		// Pods of other nodes come by a NodePort, and may have any endpoint.
		d.NodePort, d.External = 30080, policy.LocalScope
		p.Apply([]policy.Decision{d}, nil)
		if got := p.Elements()[Hairpin]; len(got) != 2 {
			t.Errorf("clients of a NodePort with policy Local: %v", got)
		}
	}
}

func TestAChangeIsAsSmallAsItCanBe(t *testing.T) {
	family := model.IPv4
	for name, tc := range map[string]struct {
		change func(web *policy.Decision)
		want   string
	}{
		"nothing": {func(*policy.Decision) {}, ""},
		"an endpoint replaced": {
			func(web *policy.Decision) { web.Cluster = endpoints(family, podNet, 1, 3, 4) },
			"replace endpoints { tcp . 0:3 . 1 : 10.1.0.4 . 8080 }\n" +
				"add hairpin { 10.1.0.4 . 10.1.0.4 }\n" +
				"delete hairpin { 10.1.0.2 . 10.1.0.2 }\n",
		},
		"an endpoint added": {
			func(web *policy.Decision) { web.Cluster = endpoints(family, podNet, 1, 2, 3, 4) },
			"add endpoints { tcp . 0:3 . 3 : 10.1.0.4 . 8080 }\n" +
				"add hairpin { 10.1.0.4 . 10.1.0.4 }\n",
		},
		"an endpoint that others share removed": {
			func(web *policy.Decision) { web.Cluster = endpoints(family, podNet, 2, 3) },
			"replace endpoints { tcp . 0:3 . 0 : 10.1.0.3 . 8080 }\n" +
				"delete endpoints { tcp . 0:3 . 2 : 10.1.0.3 . 8080 }\n",
		},
		"a VIP added": {
			func(web *policy.Decision) { web.ExternalIPs = append(web.ExternalIPs, ip(family, publicNet, 9)) },
			"add external-frontends { 10.200.0.9 . tcp . 80 }\n" +
				"add frontends { 10.200.0.9 . tcp . 80 : 30:3 }\n",
		},
		"the NodePort changed": {
			func(web *policy.Decision) { web.NodePort = 30099 },
			"add external-frontends { 10.100.0.1 . tcp . 30099 }\n" +
				"add external-frontends { 10.100.0.2 . tcp . 30099 }\n" +
				"add nodeports { tcp . 30099 : 30:3 }\n" +
				"delete nodeports { tcp . 30080 : 30:3 }\n" +
				"delete external-frontends { 10.100.0.1 . tcp . 30080 }\n" +
				"delete external-frontends { 10.100.0.2 . tcp . 30080 }\n",
		},
		"no endpoints left": {
			func(web *policy.Decision) { web.Cluster = nil },
			"add no-endpoints { 10.96.0.10 . tcp . 80 }\n" +
				"add no-endpoints { 10.100.0.1 . tcp . 30080 }\n" +
				"add no-endpoints { 10.100.0.2 . tcp . 30080 }\n" +
				"add no-endpoints { 10.200.0.1 . tcp . 80 }\n" +
				"delete nodeports { tcp . 30080 : 30:3 }\n" +
				"delete frontends { 10.96.0.10 . tcp . 80 : 30:3 }\n" +
				"delete frontends { 10.200.0.1 . tcp . 80 : 30:3 }\n" +
				"delete hairpin { 10.1.0.2 . 10.1.0.2 }\n" +
				"delete hairpin { 10.1.0.3 . 10.1.0.3 }\n" +
				"delete endpoints { tcp . 0:3 . 0 : 10.1.0.1 . 8080 }\n" +
				"delete endpoints { tcp . 0:3 . 1 : 10.1.0.2 . 8080 }\n" +
				"delete endpoints { tcp . 0:3 . 2 : 10.1.0.3 . 8080 }\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var p Planner
			k := newKernel(t)
			k.carryOut(p.Sync(testNode(family), everyKind(family), nil))
			plan := p.Apply([]policy.Decision{changed(family, tc.change)}, nil)
			k.carryOut(plan)
			if diff := cmp.Diff(tc.want, plan.Text(NewSchema(family, policy.Features{}))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAServicePortComesAndGoes(t *testing.T) {
	for _, family := range families {
		var p Planner
		k := newKernel(t)
		k.carryOut(p.Sync(testNode(family), nil, nil))
		before := p.Text(NewSchema(family, policy.Features{}))
		for _, d := range everyKind(family) {
			k.carryOut(p.Apply([]policy.Decision{d}, nil))
		}
		for _, d := range everyKind(family) {
			k.carryOut(p.Apply(nil, []model.ServicePortName{d.Name, d.Name}))
		}
		if diff := cmp.Diff(before, p.Text(NewSchema(family, policy.Features{}))); diff != "" {
			t.Errorf("something was left (-before +after):\n%s", diff)
		}
		if len(p.claims) != 0 {
			t.Errorf("%d claims were left", len(p.claims))
		}
	}
}

func TestOnlyNewFrontendsAppear(t *testing.T) {
	family := model.IPv4
	var p Planner
	if got := len(p.Sync(testNode(family), everyKind(family), nil).Appeared); got != 10 {
		t.Errorf("%d frontends appeared at start, want all 10", got)
	}
	for _, step := range []struct {
		what   string
		change func(web *policy.Decision)
		want   int
	}{
		{"endpoints go", func(web *policy.Decision) { web.Cluster = nil }, 0},
		{"endpoints come back", func(*policy.Decision) {}, 0},
		{"another NodePort on two addresses", func(web *policy.Decision) { web.NodePort = 30099 }, 2},
	} {
		if got := p.Apply([]policy.Decision{changed(family, step.change)}, nil).Appeared; len(got) != step.want {
			t.Errorf("%s: %v appeared, want %d", step.what, got, step.want)
		}
	}
}

func TestANodePortIsNeverOnLoopback(t *testing.T) {
	for family, loopback := range map[model.Family]string{model.IPv4: "127.0.0.1", model.IPv6: "::1"} {
		var with, without Planner
		node := testNode(family)
		without.Sync(node, everyKind(family), nil)
		node.NodePortAddrs = append(node.NodePortAddrs, netip.MustParseAddr(loopback))
		with.Sync(node, everyKind(family), nil)
		if diff := cmp.Diff(without.Elements(), with.Elements()); diff != "" {
			t.Errorf("%s changes (-without +with):\n%s", loopback, diff)
		}
	}
}

func TestTwoServicePortsWithOneVIP(t *testing.T) {
	family := model.IPv4
	shared := ip(family, publicNet, 1)
	first := clusterIP(family, "first", 1, model.TCP, endpoints(family, podNet, 1))
	second := clusterIP(family, "second", 2, model.TCP, endpoints(family, podNet, 2))
	first.ExternalIPs, second.ExternalIPs = append(first.ExternalIPs, shared), append(second.ExternalIPs, shared)
	var p Planner
	k := newKernel(t)
	k.carryOut(p.Sync(testNode(family), nil, nil))
	leadsTo := func(want policy.Decision) {
		t.Helper()
		to := Frontend{model.TCP, netip.AddrPortFrom(shared, 80)}
		got := Tracer{NewSchema(family, policy.Features{}), k.elements}.Trace(Packet{Source: ip(family, publicNet, 77), To: to})
		if len(got.Targets) != 1 || got.Targets[0].Endpoint != want.Cluster[0] {
			t.Errorf("the VIP leads to %v, want %s", got.Targets, want.Cluster)
		}
	}
	k.carryOut(p.Apply([]policy.Decision{second}, nil))
	leadsTo(second)
	k.carryOut(p.Apply([]policy.Decision{first}, nil))
	leadsTo(first)
	k.carryOut(p.Apply(nil, []model.ServicePortName{first.Name}))
	leadsTo(second)
}
