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

package announce

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

func on(nodes ...string) map[string]struct{} {
	set := map[string]struct{}{}
	for _, n := range nodes {
		set[n] = struct{}{}
	}
	return set
}

func TestStandingOfANode(t *testing.T) {
	ready := []corev1.NodeCondition{
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse},
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue},
	}
	with := func(change func(*corev1.Node)) *corev1.Node {
		n := &corev1.Node{Status: corev1.NodeStatus{Conditions: slices.Clone(ready)}}
		change(n)
		return n
	}
	for name, c := range map[string]struct {
		node *corev1.Node
		want Standing
		why  Reason
	}{
		"ready":          {with(func(*corev1.Node) {}), Fit, ""},
		"without object": {nil, Unfit, NodeUnknown},
		"cordoned":       {with(func(n *corev1.Node) { n.Spec.Unschedulable = true }), Fit, ""},
		"excluded": {with(func(n *corev1.Node) {
			n.Labels = map[string]string{corev1.LabelNodeExcludeBalancers: "false"} // the value says nothing
		}), Unfit, NodeExcluded},
		"leaving": {with(func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: toBeDeleted, Effect: corev1.TaintEffectNoSchedule}}
		}), Unfit, NodeLeaving},
		"deleted":      {with(func(n *corev1.Node) { n.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }), Unfit, NodeLeaving},
		"other taint":  {with(func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "x"}} }), Fit, ""},
		"not ready":    {with(func(n *corev1.Node) { n.Status.Conditions[1].Status = corev1.ConditionFalse }), LastResort, NodeNotReady},
		"unknown":      {with(func(n *corev1.Node) { n.Status.Conditions[1].Status = corev1.ConditionUnknown }), LastResort, NodeNotReady},
		"no condition": {with(func(n *corev1.Node) { n.Status.Conditions = nil }), LastResort, NodeNotReady},
		"excluded first": {with(func(n *corev1.Node) {
			n.Status.Conditions, n.Labels = nil, map[string]string{corev1.LabelNodeExcludeBalancers: ""}
		}), Unfit, NodeExcluded},
	} {
		t.Run(name, func(t *testing.T) {
			if got, why := StandingOf(c.node); got != c.want || why != c.why {
				t.Errorf("it is %v because of %q, want %v, %q", got, why, c.want, c.why)
			}
		})
	}
}

func TestWhereAServiceCanBeReached(t *testing.T) {
	ready := func(node string) model.Endpoint { return model.Endpoint{NodeName: node, Ready: true, Serving: true} }
	last := func(node string) model.Endpoint {
		return model.Endpoint{NodeName: node, Serving: true, Terminating: true}
	}
	for name, c := range map[string]struct {
		local     bool
		endpoints []model.Endpoint
		want      map[string]struct{}
	}{
		"Cluster does not ask":                 {false, []model.Endpoint{ready("a")}, nil},
		"ready ones":                           {true, []model.Endpoint{ready("a"), ready("b"), ready("a")}, on("a", "b")},
		"not those that are not ready":         {true, []model.Endpoint{ready("a"), {NodeName: "b"}, {NodeName: "c", Serving: true}}, on("a")},
		"not those that end, beside ready":     {true, []model.Endpoint{ready("a"), last("b")}, on("a")},
		"those that end, if nothing else does": {true, []model.Endpoint{last("b"), {NodeName: "c", Terminating: true}}, on("b")},
		"no node, no place":                    {true, []model.Endpoint{ready("")}, on()},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(Service{Local: c.local, Nodes: c.want}, ServiceOf(c.local, c.endpoints)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhoMayAnnounce(t *testing.T) {
	cluster := Service{}
	local := func(nodes ...string) Service { return Service{Local: true, Nodes: on(nodes...)} }
	for name, c := range map[string]struct {
		services []Service
		want     Reason // of node a
	}{
		"policy Cluster":                             {[]Service{cluster}, ""},
		"Local with an endpoint here":                {[]Service{local("a", "b")}, ""},
		"Local with an endpoint elsewhere":           {[]Service{local("b")}, NoEndpoint},
		"Local without any":                          {[]Service{local()}, NoEndpoint},
		"nobody's":                                   {nil, NoService},
		"shared, all are here":                       {[]Service{local("a", "b"), local("a"), cluster}, ""},
		"shared, one is elsewhere":                   {[]Service{local("a"), local("b")}, NoEndpoint},
		"shared, one is nowhere: the other has it":   {[]Service{local("a"), local()}, ""},
		"shared, one is nowhere beside Cluster":      {[]Service{cluster, local()}, ""},
		"shared, all are nowhere":                    {[]Service{local(), local()}, NoEndpoint},
		"shared with Cluster, the Local one decides": {[]Service{cluster, local("b")}, NoEndpoint},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Refusal("a", Fit, "", c.services); got != c.want {
				t.Errorf("refused for %q, want %q", got, c.want)
			}
			if got := Refusal("a", Unfit, NodeExcluded, c.services); got != NodeExcluded {
				t.Errorf("an excluded node is refused for %q", got)
			}
		})
	}
}

func TestCandidates(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	nodes := []Node{{"a", Fit}, {"b", Fit}, {"c", LastResort}, {"d", Unfit}, {"e", Unfit}}
	local := func(names ...string) []Service { return []Service{{Local: true, Nodes: on(names...)}} }
	for name, c := range map[string]struct {
		services []Service
		want     []string
	}{
		"fit ones":                             {[]Service{{}}, []string{"a", "b"}},
		"of those with an endpoint":            {local("b", "c", "d"), []string{"b"}},
		"a last resort, if no other":           {local("c", "d"), []string{"c"}},
		"nobody, rather than an excluded node": {local("d"), nil},
		"nobody's":                             {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := Candidates(addr, PlaceOf(c.services), nodes)
			slices.Sort(got)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The order is part of what nodes of different versions have to agree on.
func TestRankIsTheSameForEver(t *testing.T) {
	for addr, want := range map[string][]string{
		"192.0.2.1":   {"node-1", "node-4", "node-3", "node-2"},
		"2001:db8::1": {"node-2", "node-1", "node-4", "node-3"},
	} {
		got := []string{"node-1", "node-2", "node-3", "node-4"}
		Rank(netip.MustParseAddr(addr), got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", addr, diff)
		}
	}
}

func TestRankSpreadsAndMovesLittle(t *testing.T) {
	const addresses, count = 4000, 8
	var nodes []string
	for i := range count {
		nodes = append(nodes, fmt.Sprintf("node-%d", i))
	}
	random := rand.New(rand.NewPCG(1, 2))
	first, moved := map[string]int{}, 0
	for i := range addresses {
		addr := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
		random.Shuffle(count, func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		Rank(addr, nodes)
		first[nodes[0]]++
		without := slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return n == "node-5" })
		Rank(addr, without)
		if nodes[0] != "node-5" && without[0] != nodes[0] {
			moved++
		}
	}
	for _, n := range nodes {
		if share := first[n]; share < addresses/count*8/10 || share > addresses/count*12/10 {
			t.Errorf("%s is first for %d of %d addresses, far from an %dth", n, share, addresses, count)
		}
	}
	if moved > 0 {
		t.Errorf("%d addresses moved from nodes that stayed", moved)
	}
}
