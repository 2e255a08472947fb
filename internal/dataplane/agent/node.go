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
	"slices"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// NodePortAddresses says on which of the node's addresses NodePorts answer,
// as kube-proxy's --nodeport-addresses does.
type NodePortAddresses struct {
	// Primary is the node's primary address of each family: the first
	// InternalIP of the Node object, or else the first ExternalIP.
	Primary bool
	// CIDRs select among all local addresses; a family without CIDRs answers
	// on all of them.
	CIDRs []netip.Prefix
}

// ParseNodePortAddresses reads the values of --nodeport-addresses: CIDRs, or
// the single word "primary", which is also what no value means.
func ParseNodePortAddresses(values []string) (NodePortAddresses, error) {
	if len(values) == 0 || slices.Equal(values, []string{"primary"}) {
		return NodePortAddresses{Primary: true}, nil
	}
	var parsed NodePortAddresses
	for _, value := range values {
		prefix, err := netip.ParsePrefix(value)
		if err != nil {
			return parsed, fmt.Errorf("%q is neither a CIDR, as in 192.0.2.0/24, nor the single word primary", value)
		}
		if prefix.Addr().Unmap().IsLoopback() {
			return parsed, fmt.Errorf("%s: NodePorts do not answer on loopback addresses, leave it out", prefix)
		}
		parsed.CIDRs = append(parsed.CIDRs, model.PlainPrefix(prefix))
	}
	return parsed, nil
}

// DetectLocal says how traffic of this node's own pods is recognised.
type DetectLocal struct {
	// FromNode takes the pod CIDRs of the Node object (mode NodeCIDR).
	FromNode bool
	// ClusterCIDRs are used otherwise (mode ClusterCIDR); none means that no
	// source counts as foreign.
	ClusterCIDRs []netip.Prefix
}

// NodeOptions are the node's settings.
type NodeOptions struct {
	NodePorts     NodePortAddresses
	DetectLocal   DetectLocal
	MasqueradeAll bool
}

// nodeFacts is what is known of the node: its object, nil before it is
// registered, and its own usable addresses.
type nodeFacts struct {
	object *corev1.Node
	local  []netip.Addr
}

// nodeOf is the node as the ruleset needs it.
func nodeOf(family model.Family, options NodeOptions, facts nodeFacts) policy.Node {
	return policy.Node{
		Family:        family,
		NodePortAddrs: options.NodePorts.choose(family, facts),
		LocalPods:     options.DetectLocal.pods(family, facts.object),
		MasqueradeAll: options.MasqueradeAll,
	}
}

func (n NodePortAddresses) choose(family model.Family, facts nodeFacts) []netip.Addr {
	own := nodeAddresses(facts.object)
	if n.Primary && len(own) > 0 {
		return first(own, family)
	}
	// An unregistered node has no primary address yet: better all than none.
	cidrs := slices.DeleteFunc(slices.Clone(n.CIDRs), func(p netip.Prefix) bool { return model.FamilyOf(p.Addr()) != family })
	var chosen []netip.Addr
	for _, addr := range facts.local {
		inside := func(p netip.Prefix) bool { return p.Contains(addr) }
		if model.FamilyOf(addr) == family && (len(cidrs) == 0 || slices.ContainsFunc(cidrs, inside)) {
			chosen = append(chosen, addr)
		}
	}
	slices.SortFunc(chosen, netip.Addr.Compare)
	return slices.Compact(chosen)
}

func first(addrs []netip.Addr, family model.Family) []netip.Addr {
	for _, addr := range addrs {
		if model.FamilyOf(addr) == family {
			return []netip.Addr{addr}
		}
	}
	return nil
}

// nodeAddresses are the Node's addresses, internal ones first.
func nodeAddresses(node *corev1.Node) []netip.Addr {
	if node == nil {
		return nil
	}
	var addrs []netip.Addr
	for _, kind := range []corev1.NodeAddressType{corev1.NodeInternalIP, corev1.NodeExternalIP} {
		for _, address := range node.Status.Addresses {
			if addr, err := netip.ParseAddr(address.Address); err == nil && address.Type == kind {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	return addrs
}

// pods takes the first CIDR of the family only, as kube-proxy does: the first
// one is what the node's network was set up with.
func (d DetectLocal) pods(family model.Family, node *corev1.Node) []netip.Prefix {
	cidrs := d.ClusterCIDRs
	if d.FromNode {
		cidrs = podCIDRs(node)
	}
	for _, cidr := range cidrs {
		if model.FamilyOf(cidr.Addr()) == family {
			return []netip.Prefix{cidr}
		}
	}
	return nil
}

func podCIDRs(node *corev1.Node) []netip.Prefix {
	if node == nil {
		return nil
	}
	var cidrs []netip.Prefix
	for _, text := range append(slices.Clone(node.Spec.PodCIDRs), node.Spec.PodCIDR) {
		if cidr, err := netip.ParsePrefix(text); err == nil {
			cidrs = append(cidrs, model.PlainPrefix(cidr))
		}
	}
	return cidrs
}

// toBeDeleted is the cluster autoscaler's taint on nodes that go away.
const toBeDeleted = "ToBeDeletedByClusterAutoscaler"

// eligible says whether load balancers should send traffic here (KEP-3836).
func eligible(node *corev1.Node) bool {
	return node != nil && node.DeletionTimestamp.IsZero() &&
		!slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == toBeDeleted })
}
