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

// fate is what the tests below ask of a Trace.
type fate struct {
	Hosts                      []int // of endpoints in podNet, or in otherNet from 100 on
	Masqueraded                bool
	Refused, Dropped, Answered bool
}

func fateOf(family model.Family, trace Trace) fate {
	f := fate{Refused: trace.Refused, Dropped: trace.Dropped, Answered: trace.Answered}
	for _, target := range trace.Targets {
		for host := range 200 {
			if target.Endpoint.Addr() == ip(family, podNet, host) || target.Endpoint.Addr() == ip(family, otherNet, host) && host >= 100 {
				f.Hosts = append(f.Hosts, host)
			}
		}
		f.Masqueraded = f.Masqueraded || target.Masqueraded
	}
	return f
}

// behaviours are Services of every policy. Hosts 1 and 2 are on this node.
func behaviours(family model.Family) []policy.Decision {
	here, there := endpoints(family, podNet, 1, 2), endpoints(family, otherNet, 100)
	of := func(name string, host int, cluster, local []netip.AddrPort, change func(d *policy.Decision)) policy.Decision {
		d := clusterIP(family, name, host, model.TCP, cluster)
		d.Local = local
		d.ExternalIPs = []netip.Addr{ip(family, publicNet, host)}
		d.LoadBalancerIPs, d.Pooled = []netip.Addr{ip(family, publicNet, 100+host)}, host != 2
		d.NodePort = uint16(30000 + host)
		change(&d)
		return d
	}
	everywhere := append(append([]netip.AddrPort(nil), here...), there...)
	internal := func(d *policy.Decision) { d.Internal = policy.LocalScope }
	external := func(d *policy.Decision) { d.External = policy.LocalScope }
	ranged := func(d *policy.Decision) {
		bits := map[model.Family]int{model.IPv4: 16, model.IPv6: 64}[family]
		d.SourceRanges = []netip.Prefix{
			netip.PrefixFrom(ip(family, 210, 0), bits),
			netip.PrefixFrom(ip(family, 210, 7), ip(family, 210, 7).BitLen()), // inside the one before
		}
	}
	return []policy.Decision{
		of("plain", 1, everywhere, nil, func(*policy.Decision) {}),
		of("internal", 2, everywhere, here, internal),
		of("internal-none", 3, there, nil, internal),
		of("external", 4, everywhere, here, external),
		of("external-none", 5, there, nil, external),
		of("nothing", 6, nil, nil, external),
		of("ranged", 7, everywhere, nil, ranged),
		of("closed", 8, everywhere, nil, func(d *policy.Decision) { d.SourceRanges = []netip.Prefix{} }),
		of("ranged-nothing", 9, nil, nil, ranged),
		of("ranged-external", 10, everywhere, here, func(d *policy.Decision) { ranged(d); external(d) }),
	}
}

func TestEveryRowOfBehaviour(t *testing.T) {
	for _, family := range families {
		pod, foreign, public := ip(family, podNet, 77), ip(family, otherNet, 77), ip(family, publicNet, 77)
		allowed := ip(family, 210, 7)
		nodeIP := ip(family, nodeNet, 1)
		vip := func(host int) netip.AddrPort { return netip.AddrPortFrom(ip(family, serviceNet, host), 80) }
		ext := func(host int) netip.AddrPort { return netip.AddrPortFrom(ip(family, publicNet, host), 80) }
		lb := func(host int) netip.AddrPort { return netip.AddrPortFrom(ip(family, publicNet, 100+host), 80) }
		node := func(host int) netip.AddrPort { return netip.AddrPortFrom(nodeIP, uint16(30000+host)) }
		reject := func(n *policy.Node, _ *policy.Features) { n.RejectWithoutLocal = true }
		guard := func(n *policy.Node, _ *policy.Features) { n.RestrictNodePorts = true }
		blind := func(n *policy.Node, _ *policy.Features) { n.LocalPods = nil }
		all := func(n *policy.Node, _ *policy.Features) { n.MasqueradeAll = true }
		byName := func(n *policy.Node, f *policy.Features) { n.LocalPods, f.LocalInterface = nil, "cali*" }
		echo := func(_ *policy.Node, f *policy.Features) { f.AnswerEcho = true }
		announce := func(_ *policy.Node, f *policy.Features) { f.RefusePooled = true }
		announceEcho := func(_ *policy.Node, f *policy.Features) { f.RefusePooled, f.AnswerEcho = true, true }
		holds := func(n *policy.Node, f *policy.Features) {
			f.RefusePooled, n.NodePortAddrs = true, append(n.NodePortAddrs, ip(family, publicNet, 101))
		}
		other := func(at netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(at.Addr(), 81) }
		everyone, here := []int{1, 2, 100}, []int{1, 2}
		for name, tc := range map[string]struct {
			from   netip.Addr
			to     netip.AddrPort
			change func(*policy.Node, *policy.Features)
			want   fate
			link   string
		}{
			"25 internal Local keeps to this node":                 {from: pod, to: vip(2), want: fate{Hosts: here}},
			"25 from the node, too":                                {from: nodeIP, to: vip(2), want: fate{Hosts: here, Masqueraded: true}},
			"25 internal Local says nothing of external":           {from: public, to: ext(2), want: fate{Hosts: everyone, Masqueraded: true}},
			"25 internal Local without any is dropped":             {from: pod, to: vip(3), want: fate{Dropped: true}},
			"25 or refused":                                        {from: pod, to: vip(3), change: reject, want: fate{Refused: true}},
			"26 external Local keeps to this node and the source":  {from: public, to: ext(4), want: fate{Hosts: here}},
			"26 at the NodePort":                                   {from: public, to: node(4), want: fate{Hosts: here}},
			"26 at the load balancer's address":                    {from: foreign, to: lb(4), want: fate{Hosts: here}},
			"26 external Local says nothing of internal":           {from: pod, to: vip(4), want: fate{Hosts: everyone}},
			"26 external Local without any is dropped":             {from: public, to: node(5), want: fate{Dropped: true}},
			"26 or refused":                                        {from: public, to: node(5), change: reject, want: fate{Refused: true}},
			"27 a local pod has all endpoints, as who it is":       {from: pod, to: ext(4), want: fate{Hosts: everyone}},
			"27 with its interface known":                          {from: foreign, to: ext(4), change: byName, link: "cali7", want: fate{Hosts: everyone}},
			"27 by another interface":                              {from: foreign, to: ext(4), change: byName, link: "eth0", want: fate{Hosts: here}},
			"27 no one is a local pod when they are not known":     {from: pod, to: ext(4), change: blind, want: fate{Hosts: here}},
			"27 with masquerade-all the same":                      {from: pod, to: ext(4), change: all, want: fate{Hosts: everyone}},
			"28 the node has all endpoints, masqueraded":           {from: nodeIP, to: ext(4), want: fate{Hosts: everyone, Masqueraded: true}},
			"29 a local pod where no endpoint is local":            {from: pod, to: node(5), want: fate{Hosts: []int{100}}},
			"29 also when others are refused":                      {from: pod, to: node(5), change: reject, want: fate{Hosts: []int{100}}},
			"29 the node where no endpoint is local":               {from: nodeIP, to: node(5), want: fate{Hosts: []int{100}, Masqueraded: true}},
			"30 no endpoints at all":                               {from: pod, to: vip(6), want: fate{Refused: true}},
			"30 outside, with policy Local":                        {from: public, to: node(6), want: fate{Refused: true}},
			"30 at the load balancer's address":                    {from: public, to: lb(6), want: fate{Refused: true}},
			"40 masquerade-all":                                    {from: pod, to: vip(1), change: all, want: fate{Hosts: everyone, Masqueraded: true}},
			"41 a stranger to a ClusterIP":                         {from: public, to: vip(1), want: fate{Hosts: everyone, Masqueraded: true}},
			"41 no one is a stranger when pods are not known":      {from: public, to: vip(1), change: blind, want: fate{Hosts: everyone}},
			"42 by interface: a pod":                               {from: foreign, to: vip(1), change: byName, link: "cali7", want: fate{Hosts: everyone}},
			"42 by interface: a stranger":                          {from: pod, to: vip(1), change: byName, link: "eth0", want: fate{Hosts: everyone, Masqueraded: true}},
			"43 external Cluster is masqueraded":                   {from: pod, to: node(1), want: fate{Hosts: everyone, Masqueraded: true}},
			"44 an endpoint that is its own client":                {from: ip(family, podNet, 1), to: vip(1), want: fate{Hosts: everyone, Masqueraded: true}},
			"44 at its external IP with policy Local":              {from: ip(family, podNet, 1), to: ext(4), want: fate{Hosts: everyone, Masqueraded: true}},
			"44 and not known as a local pod":                      {from: ip(family, podNet, 1), to: ext(4), change: blind, want: fate{Hosts: here, Masqueraded: true}},
			"44 with masquerade-all":                               {from: ip(family, podNet, 1), to: ext(4), change: all, want: fate{Hosts: everyone, Masqueraded: true}},
			"48 a source in range":                                 {from: allowed, to: lb(7), want: fate{Hosts: everyone, Masqueraded: true}},
			"48 a source out of range":                             {from: public, to: lb(7), want: fate{Dropped: true}},
			"48 a local pod out of range":                          {from: pod, to: lb(7), want: fate{Dropped: true}},
			"48 the node out of range":                             {from: nodeIP, to: lb(7), want: fate{Dropped: true}},
			"48 in range, with policy Local":                       {from: allowed, to: lb(10), want: fate{Hosts: here}},
			"48 out of range, with policy Local":                   {from: pod, to: lb(10), want: fate{Dropped: true}},
			"48 in range without endpoints":                        {from: allowed, to: lb(9), want: fate{Refused: true}},
			"48 out of range without endpoints":                    {from: public, to: lb(9), want: fate{Dropped: true}},
			"49 ranges that admit no one":                          {from: allowed, to: lb(8), want: fate{Dropped: true}},
			"51 ranges are not for external IPs":                   {from: public, to: ext(7), want: fate{Hosts: everyone, Masqueraded: true}},
			"51 nor for ClusterIPs":                                {from: pod, to: vip(7), want: fate{Hosts: everyone}},
			"51 nor for NodePorts":                                 {from: public, to: node(7), want: fate{Hosts: everyone, Masqueraded: true}},
			"51 unless asked to":                                   {from: public, to: node(7), change: guard, want: fate{Dropped: true}},
			"51 which lets those in range in":                      {from: allowed, to: node(7), change: guard, want: fate{Hosts: everyone, Masqueraded: true}},
			"20 another port of a ClusterIP":                       {from: pod, to: netip.AddrPortFrom(ip(family, serviceNet, 1), 81), want: fate{Refused: true}},
			"20 from the node":                                     {from: nodeIP, to: netip.AddrPortFrom(ip(family, serviceNet, 1), 81), want: fate{Refused: true}},
			"20 an echo request to a ClusterIP":                    {from: pod, to: netip.AddrPortFrom(ip(family, serviceNet, 1), 0), link: "echo", want: fate{Refused: true}},
			"21 a ClusterIP of no Service":                         {from: pod, to: vip(99), want: fate{Dropped: true}},
			"21 another port of an external IP goes on":            {from: pod, to: netip.AddrPortFrom(ip(family, publicNet, 1), 81)},
			"22 an echo request to a ClusterIP is answered":        {from: pod, to: vip(1), change: echo, link: "echo", want: fate{Answered: true}},
			"22 to an external IP":                                 {from: public, to: ext(1), change: echo, link: "echo", want: fate{Answered: true}},
			"22 to an external IP, when not asked to answer":       {from: public, to: ext(1), link: "echo"},
			"20 another port of an address from a pool is refused": {from: public, to: other(lb(1)), change: announce, want: fate{Refused: true}},
			"20 to a pod":                                          {from: pod, to: other(lb(1)), change: announce, want: fate{Refused: true}},
			"20 to the node itself":                                {from: nodeIP, to: other(lb(1)), change: announce, want: fate{Refused: true}},
			"20 where the node does not announce it goes on":       {from: public, to: other(lb(1))},
			"20 at an address of somebody else it goes on":         {from: public, to: other(lb(2)), change: announce},
			"20 at an external IP it goes on":                      {from: public, to: other(ext(1)), change: announce},
			"20 where the node has the address it is its own":      {from: public, to: other(lb(1)), change: holds},
			"20 for the node itself, too":                          {from: nodeIP, to: other(lb(1)), change: holds},
			"20 ports that there are lead on":                      {from: public, to: lb(1), change: announce, want: fate{Hosts: everyone, Masqueraded: true}},
			"20 who is out of range is dropped there":              {from: public, to: lb(7), change: announce, want: fate{Dropped: true}},
			"20 and refused elsewhere":                             {from: public, to: other(lb(7)), change: announce, want: fate{Refused: true}},
			"20 echo requests are refused":                         {from: public, to: lb(1), change: announce, link: "echo", want: fate{Refused: true}},
			"20 unless they are answered":                          {from: public, to: lb(1), change: announceEcho, link: "echo", want: fate{Answered: true}},
			"18 a VIP is no node address":                          {from: public, to: netip.AddrPortFrom(ip(family, publicNet, 1), 30001)},
		} {
			t.Run(family.String()+" "+name, func(t *testing.T) {
				config, features := testNode(family), policy.Features{}
				config.ServiceCIDRs = []netip.Prefix{netip.PrefixFrom(ip(family, serviceNet, 0), map[model.Family]int{model.IPv4: 16, model.IPv6: 64}[family])}
				if tc.change != nil {
					tc.change(&config, &features)
				}
				planner := Planner{Features: features}
				planner.Sync(config, behaviours(family), nil)
				p := Packet{Source: tc.from, To: Frontend{model.TCP, tc.to}, FromHost: tc.from == nodeIP, Interface: tc.link, Echo: tc.link == "echo"}
				trace := Tracer{NewSchema(family, features), planner.Elements()}.Trace(p)
				if diff := cmp.Diff(tc.want, fateOf(family, trace)); diff != "" {
					t.Errorf("-want +got:\n%s\nsteps: %q", diff, trace.Steps)
				}
			})
		}
	}
}

func TestANodePortOnLocalhostIsForTheNodeAlone(t *testing.T) {
	at := Frontend{model.TCP, netip.AddrPortFrom(localhost, 30001)}
	planner := Planner{Features: policy.Features{LocalhostNodePorts: true}}
	planner.Sync(testNode(model.IPv4), behaviours(model.IPv4), nil)
	tracer := Tracer{NewSchema(model.IPv4, planner.Features), planner.Elements()}
	own := fateOf(model.IPv4, tracer.Trace(Packet{Source: localhost, To: at, FromHost: true}))
	if diff := cmp.Diff(fate{Hosts: []int{1, 2, 100}, Masqueraded: true}, own); diff != "" {
		t.Errorf("from the node -want +got:\n%s", diff)
	}
	foreign := tracer.Trace(Packet{Source: ip(model.IPv4, publicNet, 77), To: at, Interface: "eth0"})
	if len(foreign.Targets) != 0 {
		t.Errorf("from outside: %+v", foreign)
	}
}

func TestWhoseListATraceDrawsFrom(t *testing.T) {
	family := model.IPv4
	var planner Planner
	planner.Sync(testNode(family), behaviours(family), nil)
	for source, want := range map[netip.Addr]policy.Scope{
		ip(family, podNet, 77):    policy.ClusterScope,
		ip(family, publicNet, 77): policy.LocalScope,
	} {
		to := Frontend{model.TCP, netip.AddrPortFrom(ip(family, nodeNet, 1), 30004)}
		trace := Tracer{NewSchema(family, policy.Features{}), planner.Elements()}.Trace(Packet{Source: source, To: to})
		name, scope, ok := planner.ListOf(trace.List)
		if !ok || name.Name != "external" || scope != want || trace.Map != NodePorts {
			t.Errorf("from %s: list %d of %s, scope %d, found in %q", source, trace.List, name, scope, trace.Map)
		}
	}
}

// Two Services that quarrel about a VIP may not mix their ranges, nor ask the
// kernel for ranges that overlap.
func TestOnlyTheRangesOfTheOneThatHasTheVIPCount(t *testing.T) {
	family := model.IPv4
	shared := ip(family, publicNet, 1)
	of := func(name string, host int, ranges ...string) policy.Decision {
		d := clusterIP(family, name, host, model.TCP, endpoints(family, podNet, host))
		d.LoadBalancerIPs = []netip.Addr{shared}
		for _, r := range ranges {
			d.SourceRanges = append(d.SourceRanges, netip.MustParsePrefix(r))
		}
		return d
	}
	var p Planner
	k := newKernel(t)
	k.carryOut(p.Sync(testNode(family), nil, nil))
	expect := func(when string, want ...string) {
		t.Helper()
		var got []string
		s := NewSchema(family, policy.Features{})
		for shard := range uint32(SourceShards) {
			for _, e := range k.elements.Sorted(sourceRangeSet(shard)) {
				got = append(got, s.ElementText(e))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", when, diff)
		}
	}
	k.carryOut(p.Apply([]policy.Decision{of("b", 2, "10.0.0.0/8", "10.1.0.0/16", "192.168.7.7/32")}, nil))
	expect("one alone", "10.200.0.1 . tcp . 80 . 10.0.0.0/8", "10.200.0.1 . tcp . 80 . 192.168.7.7")
	k.carryOut(p.Apply([]policy.Decision{of("a", 1, "10.0.0.0/7")}, nil))
	expect("the first comes", "10.200.0.1 . tcp . 80 . 10.0.0.0/7")
	k.carryOut(p.Apply(nil, []model.ServicePortName{of("a", 1).Name}))
	expect("the first goes", "10.200.0.1 . tcp . 80 . 10.0.0.0/8", "10.200.0.1 . tcp . 80 . 192.168.7.7")
}
