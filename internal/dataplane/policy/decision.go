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

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Decision is everything the ruleset needs to know of one ServicePort in one
// IP family. All slices are sorted and free of duplicates, so that two
// Decisions with the same meaning are deeply equal.
type Decision struct {
	Name   model.ServicePortName
	Family model.Family
	// Port is the Service's port on each of its VIPs.
	Port uint16
	// ClusterIP is the Service's IP of this family. It is always valid.
	ClusterIP netip.Addr
	// ExternalVIPs are externalIPs and the load balancer's ingress IPs.
	ExternalVIPs []netip.Addr
	// NodePort is 0 when the Service has none.
	NodePort uint16
	// Endpoints are what new connections are spread over uniformly. Empty
	// means that they are refused.
	Endpoints []netip.AddrPort
	// Known are all endpoints that may still hold flows (serving ones that no
	// longer take new connections included), for conntrack clean-up.
	Known []netip.AddrPort
}

// Node is what the ruleset needs to know of the node itself, in one IP family.
type Node struct {
	Family model.Family
	// NodePortAddrs are the node's own addresses that NodePorts answer on.
	NodePortAddrs []netip.Addr
	// LocalPods are the address ranges of this node's pods (detect-local mode
	// ClusterCIDR or NodeCIDR). Traffic to a ClusterIP from any other source
	// is masqueraded; with none, no source counts as foreign.
	LocalPods []netip.Prefix
	// MasqueradeAll masquerades all traffic to ClusterIPs.
	MasqueradeAll bool
}
