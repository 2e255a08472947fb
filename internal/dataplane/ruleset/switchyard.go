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
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// The sets and maps of the schema.
const (
	// Endpoints: protocol . id . slot -> address . port.
	Endpoints = "endpoints"
	// Classes: class -> the chain that draws an endpoint.
	Classes = "classes"
	// Hairpin: address . address of endpoints that may be their own clients.
	Hairpin = "hairpin"
	// LocalPods: addresses of this node's pods, empty when they are not known or
	// known by their interface.
	LocalPods = "local-pods"
	// Unmasqueraded: addresses that reach a ClusterIP without masquerade.
	Unmasqueraded = "unmasqueraded"
	// ExternalFrontends: address . protocol . port of every way in that is
	// always masqueraded: externalIPs, load balancer IPs and NodePorts.
	ExternalFrontends = "external-frontends"
	// LocalFrontends: the same with external traffic policy Local, masqueraded
	// only for the node itself.
	LocalFrontends = "local-frontends"
	// ClusterFrontends: the same of ClusterIPs, masqueraded for strangers.
	ClusterFrontends = "cluster-frontends"
	// SourceRanges: VIP . protocol . port . range of sources that may come. It
	// is sharded, see SourceShards.
	SourceRanges = "source-ranges"
	// ClusterRoutes: id of a Local list -> route to the Cluster list.
	ClusterRoutes = "cluster-routes"
	// ClusterIPs: every ClusterIP in use.
	ClusterIPs = "cluster-ips"
	// ServiceCIDRs: the ranges that ClusterIPs are from.
	ServiceCIDRs = "service-cidrs"
	// ExternalVIPs: externalIPs and load balancer IPs, with AnswerEcho only.
	ExternalVIPs = "external-vips"
	// PooledVIPs: load balancer IPs that are from an AddressPool, with RefusePooled
	// only.
	PooledVIPs = "pooled-vips"
	// Connections: every way in with a counter, with CountConnections only.
	Connections = "connections"
	// NoEndpoints: the same of everything that is to be refused.
	NoEndpoints = "no-endpoints"
	// Frontends: VIP . protocol . port -> class and id.
	Frontends = "frontends"
	// NodePorts: protocol . port -> class and id.
	NodePorts = "nodeports"
	// NodeAddresses: the addresses that NodePorts answer on.
	NodeAddresses = "node-addresses"
)

const (
	// draws is how often a slot is drawn from the whole class before the
	// smaller, fuller halves are tried.
	draws = 8
	// maxClass is the size of the largest class: endpoints of one ServicePort
	// beyond it get no traffic.
	maxClass = 1 << 16
)

// NewSchema is the schema of one family; family is IPv4 or IPv6.
func NewSchema(family model.Family, features policy.Features) *Schema {
	return &Schema{Family: family, Name: TableName, Sets: sets(features), Chains: chains(family, features)}
}

func sets(features policy.Features) []Set {
	frontend := key(DestinationAddress, Protocol, DestinationPort)
	all := append(affinitySets(), []Set{
		{
			Name: Endpoints,
			// The modulus only names the type: typeof knows no bare number.
			Key:  Key{is(Protocol), is(ServicePortID), draw(2)},
			Data: key(DestinationAddress, DestinationPort),
		},
		{Name: Classes, Key: key(ServicePortID), Verdicts: true},
		{Name: ClusterRoutes, Key: key(ServicePortID), Data: key(ServicePortID)},
		{Name: Hairpin, Key: key(SourceAddress, DestinationAddress)},
		{Name: LocalPods, Key: key(SourceAddress), Interval: true},
		{Name: Unmasqueraded, Key: key(SourceAddress), Interval: true},
		{Name: ExternalFrontends, Key: frontend},
		{Name: LocalFrontends, Key: frontend},
		{Name: ClusterFrontends, Key: frontend},
		{Name: NoEndpoints, Key: frontend},
		{Name: ServiceCIDRs, Key: key(DestinationAddress), Interval: true},
		{Name: Frontends, Key: frontend, Data: key(ServicePortID)},
		{Name: NodePorts, Key: key(Protocol, DestinationPort), Data: key(ServicePortID)},
		{Name: NodeAddresses, Key: key(DestinationAddress)},
		{Name: ClusterIPs, Key: key(DestinationAddress)},
	}...)
	for shard := range uint32(SourceShards) {
		all = append(all, Set{Name: sourceRangeSet(shard), Key: append(frontend, is(SourceAddress)), Interval: true})
	}
	if features.AnswerEcho {
		all = append(all, Set{Name: ExternalVIPs, Key: key(DestinationAddress)})
	}
	if features.RefusePooled {
		all = append(all, Set{Name: PooledVIPs, Key: key(DestinationAddress)})
	}
	if features.CountConnections {
		all = append(all, Set{Name: Connections, Key: frontend, Counters: true})
	}
	return all
}

func chains(family model.Family, features policy.Features) []Chain {
	var all []Chain
	for class := uint32(1); class <= maxClass; class *= 2 {
		all = append(all, pickChain(class))
	}
	all = append(all,
		Chain{Name: fixedClasses()[noLocalEndpoint], Rules: []Rule{{Drop{}}}},
		Chain{Name: fixedClasses()[leaveUntranslated], Rules: []Rule{{ClearID{}}}},
	)
	for _, size := range maglevSizes {
		all = append(all, maglevChain(size))
	}
	all = append(all, drawChains()...)
	all = append(all, routeChains(features)...)
	all = append(all, translationChains(family, features)...)
	all = append(all, masqueradeChains(features)...)
	return append(all, refusalChains(family, features)...)
}

// pickName is the chain that draws from class slots.
func pickName(class uint32) string { return fmt.Sprintf("pick-%d", class) }

// pickChain draws until it hits a filled slot. Slots are filled from 0 without
// holes and to more than a quarter of the class (see nextClass), so the draw
// from a quarter always hits; it comes so late that the spread stays uniform.
// Falling off the end would let the packet through untranslated and pin it
// so in conntrack, hence the drop.
func pickChain(class uint32) Chain {
	c := Chain{Name: pickName(class), Rules: []Rule{{KeepID{}}}}
	for _, modulus := range drawModuli(class) {
		c.Rules = append(c.Rules, Rule{Translate{Key: Key{is(Protocol), is(ServicePortID), draw(modulus)}, Map: Endpoints}})
	}
	c.Rules = append(c.Rules, Rule{Drop{}})
	return c
}

// drawModuli are the numbers of slots to draw from, one after the other.
func drawModuli(class uint32) []uint32 {
	if class == 1 {
		return []uint32{1}
	}
	moduli := slices.Repeat([]uint32{class}, draws)
	for _, fallback := range []uint32{class / 2, class / 4} {
		if fallback > 0 {
			moduli = append(moduli, fallback)
		}
	}
	return moduli
}
