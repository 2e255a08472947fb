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

package policy

import (
	"net/netip"
	"slices"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Decision is what one ServicePort does on this node in one IP family. It is a
// plain value that the ruleset turns into elements; equal values make equal
// rules. All slices are sorted and free of duplicates.
type Decision struct {
	Name   model.ServicePortName
	Family model.Family
	// Port is the Service's port on each of its VIPs.
	Port uint16
	// ClusterIP is the Service's IP of this family. It is always valid.
	ClusterIP netip.Addr
	// ExternalIPs are spec.externalIPs without those of LoadBalancerIPs.
	ExternalIPs []netip.Addr
	// LoadBalancerIPs are the load balancer's ingress IPs, which SourceRanges
	// restrict.
	LoadBalancerIPs []netip.Addr
	// Pooled says that LoadBalancerIPs, of which there are some then, are from an
	// AddressPool: nobody else has anything at them.
	Pooled bool
	// NodePort is 0 when the Service has none.
	NodePort uint16

	// Cluster are the endpoints of the whole cluster that this node uses:
	// ready ones, or serving ones that terminate when there are none, after
	// topology hints.
	Cluster []netip.AddrPort
	// Near are those of Cluster that run on this node, or of which nobody says
	// where: only they can send to a ClusterIP from here and be chosen.
	Near []netip.AddrPort
	// Local are the usable endpoints on this node, chosen without hints; nil
	// unless Internal or External is LocalScope.
	Local []netip.AddrPort
	// Internal is the scope of connections to the ClusterIP, External that of
	// connections to external IPs, load balancer IPs and the NodePort
	// (KEP-2086). Connections to an external destination from a pod of this
	// node or from the node itself have ClusterScope all the same.
	//
	// When the list of a scope is empty, connections are refused if Cluster is
	// empty as well, and dropped otherwise.
	Internal, External Scope
	// Weights are the shares of endpoints in the lists, 1-65535, for the
	// Weighted scheduler; an endpoint that is not in it weighs 1.
	Weights   map[netip.AddrPort]uint16
	Scheduler Scheduler
	// Affinity is how long a client stays with its endpoint since its last new
	// connection, 1 s to 24 h; 0 for none.
	Affinity time.Duration
	// AffinityScope says whom a client's choice of endpoint binds.
	AffinityScope AffinityScope
	// SourceRanges are the only sources that reach LoadBalancerIPs; nil for
	// all, empty for none.
	SourceRanges []netip.Prefix

	// Known are all endpoints that may still hold flows (serving ones that no
	// longer take new connections included, and those that slices list for a port
	// which the Service does not have), for conntrack clean-up.
	Known []netip.AddrPort
}

// Scope is where the endpoints of a connection may be.
type Scope uint8

// The scopes.
const (
	ClusterScope Scope = iota
	LocalScope
)

// Scheduler is how an endpoint is chosen for a new connection.
type Scheduler = model.Scheduler

// AffinityScope is what remembers a client's endpoint.
type AffinityScope = model.AffinityScope

// ExternalVIPs are external and load balancer IPs, sorted.
func (d *Decision) ExternalVIPs() []netip.Addr {
	all := slices.Concat(d.ExternalIPs, d.LoadBalancerIPs)
	slices.SortFunc(all, netip.Addr.Compare)
	return all
}

// Node is what of the node itself shapes the ruleset of one IP family. It may
// change at any time; Features do not.
type Node struct {
	Family model.Family
	// NodePortAddrs are the node's own addresses that NodePorts answer on.
	NodePortAddrs []netip.Addr
	// LocalPods are the address ranges of this node's pods (detect-local mode
	// ClusterCIDR or NodeCIDR). Traffic to a ClusterIP from any other source
	// is masqueraded; with none, no source counts as foreign and none as a
	// local pod.
	LocalPods []netip.Prefix
	// MasqueradeAll masquerades all traffic to ClusterIPs.
	MasqueradeAll bool
	// ServiceCIDRs are the ranges of ClusterIPs. What is sent to an address in
	// them that belongs to no Service is dropped.
	ServiceCIDRs []netip.Prefix
	// RejectWithoutLocal refuses connections to a LocalScope without endpoints
	// in place of dropping them.
	RejectWithoutLocal bool
	// RestrictNodePorts makes SourceRanges hold for NodePorts, too.
	RestrictNodePorts bool
}

var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// NodePortsAt are the addresses that NodePorts answer on. Loopback is never one
// of them by itself: an answer to 127.0.0.1 can not come from another machine,
// so only a feature with rules of its own has it.
func (n Node) NodePortsAt(features Features) []netip.Addr {
	addrs := slices.DeleteFunc(slices.Clone(n.NodePortAddrs), netip.Addr.IsLoopback)
	if features.LocalhostNodePorts && n.Family == model.IPv4 {
		addrs = append(addrs, localhost)
	}
	return addrs
}

// Features shape the table itself and stay as they are for the life of a
// process. The zero value is what kube-proxy does.
type Features struct {
	// LocalInterface tells this node's pods by the interface they are behind
	// (detect-local modes BridgeInterface and InterfaceNamePrefix), a name, or
	// a prefix followed by "*". Node.LocalPods is not used then.
	LocalInterface string
	// AnswerEcho answers ICMP echo requests to VIPs from the node.
	AnswerEcho bool
	// LocalhostNodePorts answers NodePorts on 127.0.0.1, too, for IPv4.
	LocalhostNodePorts bool
	// RefusePooled refuses connections to ports that no Service has at the
	// addresses of Decision.Pooled. Without it they are routed as any others, and
	// who draws the addresses to this node sends them to the router and back.
	RefusePooled bool
	// CountConnections counts new connections for each destination.
	CountConnections bool
}
