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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// NodePortAddresses says on which of the node's addresses NodePorts answer,
// as kube-proxy's --nodeport-addresses does.
type NodePortAddresses struct {
	// Primary is the node's primary address of each family: the first
	// InternalIP of the Node object, or else the first ExternalIP.
	Primary bool
	// CIDRs select among all local addresses. A family without CIDRs answers on
	// all of them, unless Primary is set.
	CIDRs []netip.Prefix
}

// The words that --nodeport-addresses takes beside CIDRs.
const (
	wordPrimary   = "primary"
	wordLocalhost = "localhost"
	wordAll       = "all"
)

var (
	loopbacks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	anything  = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
)

// ParseNodePortAddresses reads the values of --nodeport-addresses: CIDRs and
// the words primary, localhost and all, each at most once. No value means
// primary. Loopback ranges select nothing: whether NodePorts answer there is a
// matter of policy.Features.
func ParseNodePortAddresses(values []string) (NodePortAddresses, error) {
	parsed := NodePortAddresses{Primary: len(values) == 0}
	for i, value := range values {
		prefix, err := netip.ParsePrefix(value)
		switch {
		case value == wordPrimary:
			parsed.Primary = true
		case value == wordLocalhost:
			parsed.CIDRs = append(parsed.CIDRs, loopbacks...)
		case value == wordAll:
			parsed.CIDRs = append(parsed.CIDRs, anything...)
		case err != nil:
			return parsed, fmt.Errorf("%q is neither a CIDR, as in 192.0.2.0/24, nor one of the words primary, localhost and all", value)
		default:
			parsed.CIDRs = append(parsed.CIDRs, model.PlainPrefix(prefix))
			continue // ranges may overlap
		}
		if slices.Contains(values[:i], value) {
			return parsed, fmt.Errorf("%s is there twice: leave one out", value)
		}
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
	NodePorts NodePortAddresses
	// Primary, when valid, is the primary address of its family, whatever the
	// Node object says.
	Primary       netip.Addr
	DetectLocal   DetectLocal
	MasqueradeAll bool
	// RejectWithoutLocal and RestrictNodePorts are those of policy.Node.
	RejectWithoutLocal, RestrictNodePorts bool
}

// Facts are what is known of the node.
type Facts struct {
	// Node is its object, nil before it is registered.
	Node *corev1.Node
	// Local are its own usable addresses, as the kernel has them.
	Local []netip.Addr
	// VIPs are those of Local that are VIPs of Services as well.
	VIPs []netip.Addr
	// ServiceCIDRs are the cluster's ranges of ClusterIPs.
	ServiceCIDRs []netip.Prefix
}

// trimNode keeps what is read here.
func trimNode(node *corev1.Node) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: node.Name, Labels: node.Labels},
		Spec:       corev1.NodeSpec{PodCIDR: node.Spec.PodCIDR, PodCIDRs: node.Spec.PodCIDRs},
		Status:     corev1.NodeStatus{Addresses: node.Status.Addresses},
	}
}

// Shape is the node as the ruleset needs it.
func (f Facts) Shape(family model.Family, options NodeOptions) policy.Node {
	return policy.Node{
		Family:             family,
		NodePortAddrs:      options.nodePortAddrs(family, f, f.VIPs),
		LocalPods:          options.DetectLocal.pods(family, f.Node),
		MasqueradeAll:      options.MasqueradeAll,
		ServiceCIDRs:       ofFamily(family, f.ServiceCIDRs),
		RejectWithoutLocal: options.RejectWithoutLocal,
		RestrictNodePorts:  options.RestrictNodePorts,
	}
}

// CheckAddrs are where health-check node ports answer: where NodePorts do, and on
// the VIPs that the node holds. Load balancers may ask either.
func (f Facts) CheckAddrs(family model.Family, options NodeOptions) []netip.Addr {
	return options.nodePortAddrs(family, f, nil)
}

// Place is the node as decisions need it.
func (f Facts) Place(name string, options NodeOptions) policy.Place {
	place := policy.Place{NodeName: name}
	if f.Node != nil {
		place.Zone = f.Node.Labels[corev1.LabelTopologyZone]
	}
	place.Addrs = options.ownAddresses(f.Node)
	slices.SortFunc(place.Addrs, netip.Addr.Compare)
	place.Addrs = slices.Compact(place.Addrs)
	return place
}

// nodePortAddrs are the selected addresses, without those of vips that the
// cluster does not know as the node's: that a machine holds a Service's VIP, as
// keepalived has it, opens no other Service there (kubernetes #111863).
func (o NodeOptions) nodePortAddrs(family model.Family, facts Facts, vips []netip.Addr) []netip.Addr {
	own := o.ownAddresses(facts.Node)
	cidrs := ofFamily(family, o.NodePorts.CIDRs)
	var chosen []netip.Addr
	if o.NodePorts.Primary && len(own) > 0 {
		chosen = first(own, family)
	} else if len(cidrs) == 0 {
		// An unregistered node has no primary address yet: better all than none.
		cidrs = anything
	}
	for _, addr := range facts.Local {
		inside := func(p netip.Prefix) bool { return p.Contains(addr) }
		if slices.Contains(vips, addr) && !slices.Contains(own, addr) {
			continue
		}
		if model.FamilyOf(addr) == family && slices.ContainsFunc(cidrs, inside) {
			chosen = append(chosen, addr)
		}
	}
	slices.SortFunc(chosen, netip.Addr.Compare)
	return slices.Compact(chosen)
}

func ofFamily(family model.Family, prefixes []netip.Prefix) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(prefixes), func(p netip.Prefix) bool { return model.FamilyOf(p.Addr()) != family })
}

func first(addrs []netip.Addr, family model.Family) []netip.Addr {
	for _, addr := range addrs {
		if model.FamilyOf(addr) == family {
			return []netip.Addr{addr}
		}
	}
	return nil
}

// ownAddresses are the node's addresses as the cluster knows them, primary ones
// first: internal before external.
func (o NodeOptions) ownAddresses(node *corev1.Node) []netip.Addr {
	var addrs []netip.Addr
	if o.Primary.IsValid() {
		addrs = append(addrs, o.Primary)
	}
	if node == nil {
		return addrs
	}
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
	return parsePrefixes(append(slices.Clone(node.Spec.PodCIDRs), node.Spec.PodCIDR))
}

// toBeDeleted is the cluster autoscaler's taint on nodes that go away.
const toBeDeleted = "ToBeDeletedByClusterAutoscaler"

// eligible says whether load balancers should send traffic here (KEP-3836).
func eligible(node *corev1.Node) bool {
	return node != nil && node.DeletionTimestamp.IsZero() &&
		!slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == toBeDeleted })
}
