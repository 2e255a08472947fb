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

package webhooks

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

func addressPool(name string, use v1alpha1.AddressUse, ranges ...v1alpha1.AddressRange) *v1alpha1.AddressPool {
	return &v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.AddressPoolSpec{Use: use, Addresses: ranges}}
}

func portPoolObject(name string, ranges ...v1alpha1.PortRange) *v1alpha1.PortPool {
	return &v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.PortPoolSpec{Ranges: ranges}}
}

func cidrs(texts ...string) *networkingv1.ServiceCIDR {
	return &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "more"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: texts}}
}

func TestRangesOfAClusterDoNotOverlap(t *testing.T) {
	world := &memory{
		nodes: []*corev1.Node{node("node-1", "192.0.2.1", "10.244.1.0/24", "fd00:244:1::/64")},
		cidrs: []ServiceCIDR{{"kubernetes", netip.MustParsePrefix("10.96.0.0/16")}},
		pools: NewPools([]allocator.PortPool{portPool("blue", 31000, 31099, "blue")}, []allocator.AddrPool{
			addrPool("public", v1alpha1.UseLoadBalancer, "198.51.100.0", "198.51.100.255", "blue"),
			addrPool("inner", v1alpha1.UseClusterIP, "10.96.40.0", "10.96.40.255", "blue"),
		}),
	}
	balancer, external, cluster := v1alpha1.UseLoadBalancer, v1alpha1.UseExternalIP, v1alpha1.UseClusterIP
	for name, tc := range map[string]struct {
		change   RangeChange
		stranger bool
		want     wantVerdict
	}{
		"a pool of its own":             {change: addressPoolChange(nil, addressPool("new", balancer, "203.0.113.0/24"))},
		"a ClusterIP pool in the range": {change: addressPoolChange(nil, addressPool("new", cluster, "10.96.41.0/24"))},
		"X19: a pool over pods": {
			change: addressPoolChange(nil, addressPool("new", external, "203.0.113.0/24", "10.244.0.0/16")),
			want:   wantVerdict{errors: []string{`spec.addresses[1]: Invalid value: "10.244.0.0/16": this overlaps with 10.244.1.0-10.244.1.255, the podCIDR of node node-1`}}},
		"X19: a pool with a node in it": {
			change: addressPoolChange(nil, addressPool("new", balancer, "192.0.2.0-192.0.2.9")),
			want:   wantVerdict{errors: []string{"an address of node node-1"}}},
		"X19: a pool over ClusterIPs": {
			change: addressPoolChange(nil, addressPool("new", balancer, "10.96.255.0/24")),
			want:   wantVerdict{errors: []string{"a range of ServiceCIDR kubernetes"}}},
		"X19: a pool over another, which precedence settles": {
			change: addressPoolChange(nil, addressPool("new", balancer, "198.51.100.128/25")),
			want:   wantVerdict{warnings: []string{"a range of AddressPool public; the pool of higher priority"}}},
		"X19: a pool over another and over pods": {
			change: addressPoolChange(nil, addressPool("new", balancer, "10.128.0.0/9", "192.0.0.0/3")),
			want:   wantVerdict{errors: []string{"10.244.1.0-10.244.1.255", "an address of node node-1"}}},
		"a pool over one of another use": {change: addressPoolChange(nil, addressPool("new", external, "198.51.100.128/25"))},
		"a pool over itself":             {change: addressPoolChange(nil, addressPool("public", balancer, "198.51.100.128/25"))},
		"what was there before may stay": {
			change: addressPoolChange(addressPool("new", external, "10.244.0.0/16"), addressPool("new", external, "10.244.0.0/16", "203.0.113.0/24"))},
		"X19: a port pool over another": {
			change: portPoolChange(nil, portPoolObject("new", "30000-30100", "31099")),
			want:   wantVerdict{warnings: []string{"spec.ranges[1]: this overlaps with 31000-31099 of PortPool blue"}}},
		"a ServiceCIDR of its own":                   {change: serviceCIDRChange(nil, cidrs("10.97.0.0/16", "fd00:97::/112"))},
		"a ServiceCIDR over another, as of KEP-1880": {change: serviceCIDRChange(nil, cidrs("10.96.0.0/12"))},
		"X19: a ServiceCIDR over pods": {
			change: serviceCIDRChange(nil, cidrs("10.128.0.0/9")),
			want:   wantVerdict{errors: []string{`spec.cidrs[0]: Invalid value: "10.128.0.0/9": this overlaps with 10.244.1.0-10.244.1.255`}}},
		"X19: a ServiceCIDR over pods, IPv6": {
			change: serviceCIDRChange(nil, cidrs("fd00:244::/32")),
			want:   wantVerdict{errors: []string{"fd00:244:1::-fd00:244:1:0:ffff:ffff:ffff:ffff"}}},
		"X19: a ServiceCIDR over a pool of load balancers": {
			change: serviceCIDRChange(nil, cidrs("198.51.100.0/26")),
			want:   wantVerdict{errors: []string{"a range of AddressPool public"}}},

		"X19: a stranger's pool over another": {
			stranger: true, change: addressPoolChange(nil, addressPool("new", balancer, "198.51.100.128/25")),
			want: wantVerdict{warnings: []string{"a range of another AddressPool; the pool of higher priority"}}},
		"X19: a stranger's pool over ClusterIPs": {
			stranger: true, change: addressPoolChange(nil, addressPool("new", balancer, "10.96.255.0/24")),
			want: wantVerdict{errors: []string{"a range of another ServiceCIDR"}}},
		"X19: a stranger's port pool over another": {
			stranger: true, change: portPoolChange(nil, portPoolObject("new", "31099")),
			want: wantVerdict{warnings: []string{"this overlaps with 31000-31099 of another PortPool"}}},
	} {
		t.Run(name, func(t *testing.T) {
			world.stranger = tc.stranger
			got, err := ValidateRanges(t.Context(), world, nil, tc.change)
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

// naming counts how often it is asked for a name.
type naming struct {
	*memory
	asked int
}

func (n *naming) NodeNameOf(ctx context.Context, node *corev1.Node) string {
	n.asked++
	return n.memory.NodeNameOf(ctx, node)
}

// Each name may cost a request to the API server.
func TestNodesAreNamedInFindingsAlone(t *testing.T) {
	world := &naming{memory: &memory{cidrs: []ServiceCIDR{{"kubernetes", netip.MustParsePrefix("10.96.0.0/16")}}}}
	for i := range 1000 {
		world.nodes = append(world.nodes, node(fmt.Sprintf("node-%d", i), fmt.Sprintf("172.16.%d.%d", i>>8, i&255),
			fmt.Sprintf("10.%d.%d.0/24", 128+i>>8, i&255), fmt.Sprintf("fd00:%x::/64", i+1)))
	}
	for pool, want := range map[v1alpha1.AddressRange]int{"203.0.113.0/24": 0, "10.96.5.0/24": 0, "172.16.0.0/30": 1} {
		world.asked = 0
		got, err := ValidateRanges(t.Context(), world, nil, addressPoolChange(nil, addressPool("new", v1alpha1.UseLoadBalancer, pool)))
		if err != nil || world.asked != want {
			t.Errorf("%s: asked for %d names, want %d (%v, %v)", pool, world.asked, want, got.Errors, err)
		}
	}
}
