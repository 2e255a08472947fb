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

package agent

import (
	"fmt"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

func TestTheNodeAsTheRulesetNeedsIt(t *testing.T) {
	registered := &corev1.Node{
		Spec: corev1.NodeSpec{PodCIDRs: []string{"10.244.1.0/24", "fd00:1::/64"}},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeHostName, Address: "n1"}, {Type: corev1.NodeExternalIP, Address: "203.0.113.1"},
			{Type: corev1.NodeInternalIP, Address: "172.18.0.2"}, {Type: corev1.NodeInternalIP, Address: "172.18.0.3"},
			{Type: corev1.NodeExternalIP, Address: "2001:db8::1"},
		}},
	}
	local := []netip.Addr{
		netip.MustParseAddr("172.18.0.3"), netip.MustParseAddr("172.18.0.2"), netip.MustParseAddr("192.168.1.1"), netip.MustParseAddr("fd01::2"),
	}
	for name, tc := range map[string]struct {
		flags   []string
		detect  DetectLocal
		primary string
		node    *corev1.Node
		v4, v6  string
	}{
		"primary is the first internal address, or an external one": {
			node: registered, v4: "[172.18.0.2] []", v6: "[2001:db8::1] []",
		},
		"a node that is not registered answers on all addresses": {
			v4: "[172.18.0.2 172.18.0.3 192.168.1.1] []", v6: "[fd01::2] []",
		},
		"CIDRs select, and a family without any answers on all": {
			flags: []string{"172.18.0.0/24"}, node: registered,
			v4: "[172.18.0.2 172.18.0.3] []", v6: "[fd01::2] []",
		},
		"words and CIDRs add up": {
			flags: []string{"primary", "192.168.0.0/16", "localhost"}, node: registered,
			v4: "[172.18.0.2 192.168.1.1] []", v6: "[2001:db8::1] []",
		},
		"all is all": {
			flags: []string{"all", "primary"}, node: registered,
			v4: "[172.18.0.2 172.18.0.3 192.168.1.1] []", v6: "[2001:db8::1 fd01::2] []",
		},
		"localhost alone leaves no other address": {
			flags: []string{"localhost"}, node: registered, v4: "[] []", v6: "[] []",
		},
		"another primary address than the Node's": {
			primary: "172.18.0.9", node: registered, v4: "[172.18.0.9] []", v6: "[2001:db8::1] []",
		},
		"NodeCIDR takes the Node's pod ranges": {
			flags: []string{"primary"}, detect: DetectLocal{FromNode: true}, node: registered,
			v4: "[172.18.0.2] [10.244.1.0/24]", v6: "[2001:db8::1] [fd00:1::/64]",
		},
		"ranges written as mapped addresses are IPv4": {
			flags: []string{"::ffff:172.18.0.0/120"}, detect: DetectLocal{FromNode: true},
			node: &corev1.Node{Spec: corev1.NodeSpec{PodCIDRs: []string{"::ffff:10.244.1.7/120", "fd00:1::/64"}}},
			v4:   "[172.18.0.2 172.18.0.3] [10.244.1.0/24]", v6: "[fd01::2] [fd00:1::/64]",
		},
		"ClusterCIDR takes the first of each family": {
			detect: DetectLocal{ClusterCIDRs: []netip.Prefix{netip.MustParsePrefix("fd00::/56"), netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("10.9.0.0/16")}},
			node:   registered,
			v4:     "[172.18.0.2] [10.244.0.0/16]", v6: "[2001:db8::1] [fd00::/56]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			nodePorts, err := ParseNodePortAddresses(tc.flags)
			if err != nil {
				t.Fatal(err)
			}
			for family, want := range map[model.Family]string{model.IPv4: tc.v4, model.IPv6: tc.v6} {
				options := NodeOptions{NodePorts: nodePorts, DetectLocal: tc.detect}
				if tc.primary != "" {
					options.Primary = netip.MustParseAddr(tc.primary)
				}
				node := Facts{Node: tc.node, Local: local}.Shape(family, options)
				if got := fmt.Sprint(node.NodePortAddrs, " ", node.LocalPods); got != want {
					t.Errorf("%s: NodePorts and pods are %s, want %s", family, got, want)
				}
			}
		})
	}
}

func TestWhichNodesMayTakeTrafficFromOutside(t *testing.T) {
	now := metav1.Now()
	for name, tc := range map[string]struct {
		node *corev1.Node
		want bool
	}{
		"no Node object":    {nil, false},
		"a plain one":       {&corev1.Node{}, true},
		"one being deleted": {&corev1.Node{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}}, false},
		"one the autoscaler removes": {&corev1.Node{Spec: corev1.NodeSpec{
			Taints: []corev1.Taint{{Key: toBeDeleted}}}}, false},
		"one with another taint": {&corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: "x"}}}}, true},
	} {
		if got := eligible(tc.node); got != tc.want {
			t.Errorf("%s: eligible is %v", name, got)
		}
	}
}

func TestAnAddressThatTheNodeOnlyCarriesIsNotItsOwn(t *testing.T) {
	facts := Facts{
		Node: &corev1.Node{Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeExternalIP, Address: "203.0.113.1"}, {Type: corev1.NodeInternalIP, Address: "172.18.0.2"},
		}}},
		Local: []netip.Addr{netip.MustParseAddr("172.18.0.2"), netip.MustParseAddr("10.244.1.1"), netip.MustParseAddr("198.51.100.7")},
	}
	place := facts.Place("n1", NodeOptions{})
	if got, want := fmt.Sprint(place.Addrs), "[172.18.0.2 203.0.113.1]"; got != want {
		t.Errorf("the node's own addresses are %s, want %s: a bridge's or a bound VIP would open source ranges", got, want)
	}
}
