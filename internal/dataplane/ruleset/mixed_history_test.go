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
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// world is a node and all its Services at one time.
type world struct {
	node policy.Node
	state
}

func (w world) clone() world { return world{w.node, maps.Clone(w.state)} }

func (w world) sorted() []policy.Decision { return byName(w.list()) }

// TestEveryWayThroughEveryPolicyEndsInTheSameTable mixes whatever a Service and
// a node can have, and goes the way forwards, backwards and in one step.
func TestEveryWayThroughEveryPolicyEndsInTheSameTable(t *testing.T) {
	for _, family := range families {
		for seed := range uint64(5) {
			t.Run(fmt.Sprintf("%s %d", family, seed), func(t *testing.T) {
				j := newJourney(t, family, seed)
				stops := []world{j.now.clone()}
				for range 12 {
					j.step(randomWorld(j.r, family, j.now))
					stops = append(stops, j.now.clone())
				}
				for _, stop := range slices.Backward(stops) {
					j.step(stop)
				}
				j.step(stops[len(stops)-1])
			})
		}
	}
}

// journey brings a planner and its kernel from world to world.
type journey struct {
	testing.TB
	r      *rand.Rand
	schema *Schema
	// features are those of the schema.
	features policy.Features
	now      world
	p        *Planner
	k        *kernel
}

func newJourney(tb testing.TB, family model.Family, seed uint64) *journey {
	features := policy.Features{RefusePooled: seed%2 == 0}
	j := &journey{
		TB: tb, r: rand.New(rand.NewPCG(seed, 2)), schema: NewSchema(family, features), features: features,
		now: world{testNode(family), state{}}, p: &Planner{Features: features}, k: newKernel(tb),
	}
	j.k.carryOut(j.p.Sync(j.now.node, nil, nil))
	return j
}

func (j *journey) step(next world) {
	j.Helper()
	before := j.now
	plan := j.plan(next)
	j.now = next
	j.watch(before, plan)
	j.compareWithColdStart()
	j.compareWithPolicy()
	j.askAtOtherPorts()
	if j.r.IntN(4) == 0 {
		j.restart()
	}
}

// plan is a full sync where the node has changed, as the agent does it.
func (j *journey) plan(next world) Plan {
	if !reflect.DeepEqual(j.now.node, next.node) {
		return j.p.Sync(next.node, next.list(), j.k.elements)
	}
	var changed []policy.Decision
	var removed []model.ServicePortName
	for _, d := range next.sorted() {
		if before, ok := j.now.state[d.Name]; !ok || !policy.Equal(before, d) {
			changed = append(changed, d)
		}
	}
	for _, d := range j.now.sorted() {
		if _, stays := next.state[d.Name]; !stays {
			removed = append(removed, d.Name)
		}
	}
	return j.p.Apply(changed, removed)
}

// restart expects of a new planner that it finds everything as it should be.
func (j *journey) restart() {
	j.Helper()
	was, named := j.p.lists(), readIDs(j.k.elements)
	j.p = &Planner{Features: j.features}
	if plan := j.p.Sync(j.now.node, j.now.list(), j.k.elements); len(plan.Edits)+len(plan.Appeared)+len(plan.Disappeared) > 0 {
		j.Fatalf("a restart writes %d edits, the first %s", len(plan.Edits), Plan{Edits: plan.Edits[:min(5, len(plan.Edits))]}.Text(j.schema))
	}
	for id, l := range j.p.lists() {
		// An empty list that no packet can come to has left no trace.
		if before, held := was[id], named[id] != nil; held && (before.list == nil || before.String() != l.String()) {
			j.Fatalf("the list of %s has id %d, which was of %v before the restart", l, id, before)
		}
	}
}

func (j *journey) compareWithColdStart() {
	j.Helper()
	if diff := cmp.Diff(j.p.Elements(), nonEmpty(j.k.elements)); diff != "" {
		j.Fatalf("the planner is wrong about the kernel (-planner +kernel):\n%s", diff)
	}
	cold := Planner{Features: j.features}
	cold.Sync(j.now.node, j.now.list(), nil)
	if diff := cmp.Diff(cold.Text(j.schema), j.p.Text(j.schema)); diff != "" {
		j.Fatalf("-cold start +long way:\n%s", diff)
	}
}

// flow is a connection that someone may open.
type flow struct {
	source   netip.Addr
	fromHost bool
	to       Frontend
	by       model.ServicePortName
}

func (j *journey) trace(f flow) Trace {
	return Tracer{j.schema, j.k.elements}.Trace(Packet{Source: f.source, To: f.to, FromHost: f.fromHost, Interface: "eth0"})
}

// flows are connections to every way into d, from everyone who is treated in a
// way of his own.
func (w world) flows(d policy.Decision) []flow {
	var ways []netip.AddrPort
	for _, addr := range append(d.ExternalVIPs(), d.ClusterIP) {
		ways = append(ways, netip.AddrPortFrom(addr, d.Port))
	}
	for _, addr := range w.node.NodePortAddrs {
		if at := netip.AddrPortFrom(addr, d.NodePort); d.NodePort != 0 && !w.isVIP(d.Name.Protocol, at) {
			ways = append(ways, at)
		}
	}
	var list []flow
	for _, way := range ways {
		to := Frontend{d.Name.Protocol, way}
		list = append(list,
			flow{ip(d.Family, podNet, 999), false, to, d.Name},
			flow{ip(d.Family, podNet, 3), false, to, d.Name},
			flow{ip(d.Family, publicNet, 999), false, to, d.Name},
			flow{ip(d.Family, nodeNet, 1), true, to, d.Name})
	}
	return list
}

// isVIP says whether any Service has addr for a VIP: a NodePort is not looked for
// there.
func (w world) isVIP(protocol model.Protocol, addr netip.AddrPort) bool {
	for _, d := range w.state {
		if d.Name.Protocol == protocol && d.Port == addr.Port() && slices.Contains(d.ExternalVIPs(), addr.Addr()) {
			return true
		}
	}
	return false
}

// compareWithPolicy says of each flow, in words of its own, what is to become
// of it.
func (j *journey) compareWithPolicy() {
	j.Helper()
	for _, d := range j.now.sorted() {
		for _, f := range j.now.flows(d) {
			want, got := j.now.expected(d, f), newOutcome(j.trace(f))
			if d.Scheduler == model.Maglev && d.Affinity == 0 && want.leads() {
				// Which one it is follows from the client.
				if len(got.hosts) != 1 || !slices.Contains(want.hosts, got.hosts[0]) {
					j.Fatalf("%+v: one of %v is wanted, got %+v", f, want.hosts, got)
				}
				want.hosts = got.hosts
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{}), addrs); diff != "" {
				j.Fatalf("%+v of %+v, node %+v (-want +got):\n%s", f, d, j.now.node, diff)
			}
		}
	}
}

// askAtOtherPorts wants every port that no one has refused at an address that one
// of those who have it has from a pool, and nowhere else.
func (j *journey) askAtOtherPorts() {
	j.Helper()
	pooled := map[netip.Addr]bool{}
	for _, d := range j.now.state {
		for _, addr := range d.LoadBalancerIPs {
			pooled[addr] = pooled[addr] || d.Pooled && j.features.RefusePooled
		}
	}
	for addr, want := range pooled {
		to := Frontend{model.TCP, netip.AddrPortFrom(addr, 9)}
		got := j.trace(flow{source: ip(model.FamilyOf(addr), publicNet, 999), to: to})
		if got.Refused != want || got.Dropped || len(got.Targets) > 0 {
			j.Fatalf("a port that no one has at %s, pooled %t: %+v", addr, want, got)
		}
	}
}

// outcome is what becomes of a connection.
type outcome struct {
	hosts            []netip.AddrPort
	refused, dropped bool
}

func (o outcome) leads() bool { return len(o.hosts) > 0 && !o.refused && !o.dropped }

func newOutcome(trace Trace) outcome {
	o := outcome{refused: trace.Refused, dropped: trace.Dropped}
	for _, target := range trace.Targets {
		o.hosts = append(o.hosts, target.Endpoint)
	}
	return o
}

func (w world) expected(d policy.Decision, f flow) outcome {
	external := f.to.Addr.Addr() != d.ClusterIP
	atNodePort := f.to.Addr.Port() == d.NodePort
	restricted := d.SourceRanges != nil && (slices.Contains(d.LoadBalancerIPs, f.to.Addr.Addr()) || atNodePort && w.node.RestrictNodePorts)
	inside := func(p netip.Prefix) bool { return p.Contains(f.source) }
	if restricted && !slices.ContainsFunc(d.SourceRanges, inside) {
		return outcome{dropped: true}
	}
	scope := d.Internal
	if external {
		scope = d.External
	}
	if external && (f.fromHost || slices.ContainsFunc(w.node.LocalPods, inside)) {
		scope = policy.ClusterScope
	}
	list := d.Cluster
	if scope == policy.LocalScope {
		list = d.Local
	}
	switch {
	case len(list) > 0:
		return outcome{hosts: list}
	case len(d.Cluster) == 0 || w.node.RejectWithoutLocal:
		return outcome{refused: true}
	}
	return outcome{dropped: true}
}

// watch carries plan out edit by edit, as a transaction may end anywhere.
func (j *journey) watch(before world, plan Plan) {
	j.Helper()
	watched := stayers(before, j.now)
	j.k.begin(plan)
	for n := range plan.Edits {
		j.k.edit(plan.Edits[n])
		if splits(plan.Edits, n) {
			continue
		}
		looks := 20
		if set := plan.Edits[n].Set; set == Endpoints || set == Draws || set == Sticky {
			looks = 2 // there are many, and few ways lead to each
		}
		for range min(looks, len(watched)) {
			f := watched[j.r.IntN(len(watched))]
			if problem := j.between(before, f); problem != "" {
				first, last := max(0, n-5), min(len(plan.Edits), n+5)
				around := Plan{Edits: plan.Edits[first:last]}
				j.Fatalf("%+v after edit %d of %d %s\nbefore %+v\nafter %+v\nedits %d to %d:\n%s", f, n, len(plan.Edits), problem,
					before.state[f.by], j.now.state[f.by], first, last, around.Text(j.schema))
			}
		}
	}
}

// stayers are the flows to ways that are there before and after.
func stayers(before, after world) []flow {
	var list []flow
	for _, d := range before.sorted() {
		if next, stays := after.state[d.Name]; stays {
			ways := after.flows(next)
			for _, f := range before.flows(d) {
				if slices.Contains(ways, f) {
					list = append(list, f)
				}
			}
		}
	}
	return list
}

// between says what is wrong with f while a plan is carried out. Whoever is
// served before and after is served; no one leaves his Service; and those whose
// Service stays as it is notice nothing.
func (j *journey) between(before world, f flow) string {
	d, next := before.state[f.by], j.now.state[f.by]
	was, is, got := before.expected(d, f), j.now.expected(next, f), newOutcome(j.trace(f))
	if shares(&d) || shares(&next) {
		return "" // a port that leaves a list may miss the endpoints that come
	}
	failed := got.refused || got.dropped
	unchanged := reflect.DeepEqual(before.node, j.now.node)
	switch {
	case failed && was.leads() && is.leads() && overlap(was.hosts, is.hosts):
		return "fails"
	case unchanged && got.leads() && !was.leads() && !is.leads():
		return "succeeds"
	}
	allowed := slices.Concat(d.Cluster, d.Local, next.Cluster, next.Local)
	if unchanged && policy.Equal(d, next) {
		allowed = was.hosts
	}
	for _, host := range got.hosts {
		if !slices.Contains(allowed, host) {
			return fmt.Sprint("goes astray, to ", host)
		}
	}
	return ""
}

// splits says whether a transaction that ends after edit n would take apart what
// replaces ranges.
func splits(edits []Edit, n int) bool {
	e := edits[n]
	if n+1 == len(edits) {
		return false
	}
	next := edits[n+1]
	return rangeSets[e.Set] && rangeSets[next.Set] ||
		IsSourceRanges(e.Set) && IsSourceRanges(next.Set) && e.frontend() == next.frontend()
}

func overlap(a, b []netip.AddrPort) bool {
	return slices.ContainsFunc(a, func(x netip.AddrPort) bool { return slices.Contains(b, x) })
}

// randomWorld changes some of what there is.
func randomWorld(r *rand.Rand, family model.Family, w world) world {
	w = w.clone()
	if r.IntN(5) == 0 {
		w.node = randomNode(r, family)
	}
	for range 1 + r.IntN(4) {
		d := randomPort(r, family, r.IntN(8))
		if r.IntN(5) == 0 {
			delete(w.state, d.Name)
		} else {
			w.state[d.Name] = d
		}
	}
	return w
}

func randomNode(r *rand.Rand, family model.Family) policy.Node {
	node := testNode(family)
	node.NodePortAddrs = node.NodePortAddrs[r.IntN(2):]
	node.RejectWithoutLocal = r.IntN(2) == 0
	node.RestrictNodePorts = r.IntN(2) == 0
	node.MasqueradeAll = r.IntN(4) == 0
	if r.IntN(4) == 0 {
		node.LocalPods = nil
	}
	return node
}

// randomPort is ServicePort number i, two of which make a Service.
func randomPort(r *rand.Rand, family model.Family, i int) policy.Decision {
	d := clusterIP(family, fmt.Sprint("s", i/2), 1+i/2, []model.Protocol{model.TCP, model.UDP, model.SCTP}[i/2%3], nil)
	d.Name.Port, d.Port = fmt.Sprint("p", i), uint16(80+i)
	for host := range r.IntN(12) {
		if r.IntN(2) == 0 {
			d.Cluster = append(d.Cluster, endpoints(family, podNet+r.IntN(2), host)...)
		}
	}
	slices.SortFunc(d.Cluster, netip.AddrPort.Compare)
	here := func(endpoint netip.AddrPort) bool { return endpoint.Addr().Compare(ip(family, otherNet, 0)) < 0 }
	for _, endpoint := range d.Cluster {
		if here(endpoint) {
			d.Near = append(d.Near, endpoint)
		}
	}
	if r.IntN(2) == 0 {
		d.NodePort = uint16(30000 + i)
	}
	if r.IntN(2) == 0 {
		d.ExternalIPs = append(d.ExternalIPs, ip(family, publicNet, i/2))
	}
	if r.IntN(2) == 0 {
		d.LoadBalancerIPs, d.Pooled = append(d.LoadBalancerIPs, ip(family, publicNet, 100+i/2)), len(d.Cluster)%2 == 0
	}
	if len(d.Cluster)%3 == 0 { // a VIP on the node, where another port's NodePort may be
		d.Port = uint16(30000 + i ^ 1)
		if i/2%3 == 0 {
			d.Port = uint16(30000 + (i+6)%12)
		}
		d.ExternalIPs = append(d.ExternalIPs, ip(family, nodeNet, 1))
		slices.SortFunc(d.ExternalIPs, netip.Addr.Compare)
	}
	if r.IntN(3) == 0 {
		d.Internal = policy.LocalScope
	}
	if r.IntN(2) == 0 && reachableFromOutside(&d) {
		d.External = policy.LocalScope
	}
	if d.Internal == policy.LocalScope || d.External == policy.LocalScope {
		d.Local = d.Near
	}
	if r.IntN(3) == 0 {
		d.SourceRanges = randomRanges(r, family)
	}
	randomSchedule(r, &d)
	if d.Scheduler == model.Maglev && r.IntN(3) > 0 {
		d.Scheduler = model.Random // whose tables do not take a thousand edits
	}
	if d.Affinity > 0 && r.IntN(2) == 0 {
		d.Affinity, d.AffinityScope = time.Hour, model.PerService
	}
	return d
}

// randomRanges may contain one another.
func randomRanges(r *rand.Rand, family model.Family) []netip.Prefix {
	ranges := []netip.Prefix{}
	for _, net := range []int{podNet, publicNet, nodeNet, 210} {
		if r.IntN(2) == 0 {
			addr := ip(family, net, 0)
			ranges = append(ranges, netip.PrefixFrom(addr, addr.BitLen()-16-r.IntN(2)))
		}
		if r.IntN(4) == 0 {
			ranges = append(ranges, netip.PrefixFrom(ip(family, net, 7), ip(family, net, 7).BitLen()))
		}
	}
	return ranges
}
