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
)

// The sets and maps of the schema.
const (
	// Endpoints: protocol . id . slot -> address . port.
	Endpoints = "endpoints"
	// Classes: class -> the pick chain that draws from that many slots. It
	// never changes: a class is data of a frontend rather than a verdict of
	// its own, because the kernel checks all verdicts again for each new one.
	Classes = "classes"
	// Hairpin: address . address of endpoints that may be their own clients.
	Hairpin = "hairpin"
	// LocalPods: addresses that reach a ClusterIP without masquerade.
	LocalPods = "local-pods"
	// ExternalFrontends: address . protocol . port of every way in that is
	// always masqueraded: externalIPs, load balancer IPs and NodePorts.
	ExternalFrontends = "external-frontends"
	// ClusterFrontends: the same of ClusterIPs, masqueraded for strangers.
	ClusterFrontends = "cluster-frontends"
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
func NewSchema(family model.Family) *Schema {
	return &Schema{Family: family, Sets: sets(), Chains: chains()}
}

func sets() []Set {
	frontend := key(DestinationAddress, Protocol, DestinationPort)
	return append(affinitySets(), []Set{
		{
			Name: Endpoints,
			// The modulus only names the type: typeof knows no bare number.
			Key:  Key{is(Protocol), is(ServicePortID), draw(2)},
			Data: key(DestinationAddress, DestinationPort),
		},
		{Name: Classes, Key: key(ServicePortID), Verdicts: true},
		{Name: Hairpin, Key: key(SourceAddress, DestinationAddress)},
		{Name: LocalPods, Key: key(SourceAddress), Interval: true},
		{Name: ExternalFrontends, Key: frontend},
		{Name: ClusterFrontends, Key: frontend},
		{Name: NoEndpoints, Key: frontend},
		{Name: Frontends, Key: frontend, Data: key(ServicePortID)},
		{Name: NodePorts, Key: key(Protocol, DestinationPort), Data: key(ServicePortID)},
		{Name: NodeAddresses, Key: key(DestinationAddress)},
	}...)
}

func chains() []Chain {
	var all []Chain
	for class := uint32(1); class <= maxClass; class *= 2 {
		all = append(all, pickChain(class))
	}
	all = append(all, drawChains()...)
	all = append(all, translationChains()...)
	all = append(all, masqueradeChains()...)
	return append(all, refusalChains()...)
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

// Before the source NAT of other software and after its filters at -150, as
// everyone's destination NAT is.
func translationChains() []Chain {
	return []Chain{
		{Name: "services", Rules: []Rule{
			{Branch{Key: key(ServicePortClass), Map: Classes}},
		}},
		{Name: "find-service", Rules: []Rule{
			{FindID{Key: key(DestinationAddress, Protocol, DestinationPort), Map: Frontends}, Goto("services")},
			{InSet{Key: key(DestinationAddress), Set: NodeAddresses}, FindID{Key: key(Protocol, DestinationPort), Map: NodePorts}, Goto("services")},
		}},
		{Name: "nat-prerouting", Hook: &Hook{"nat", "prerouting", -100, "dstnat"}, Rules: []Rule{{Goto("find-service")}}},
		{Name: "nat-output", Hook: &Hook{"nat", "output", -100, "-100"}, Rules: []Rule{{Goto("find-service")}}},
	}
}

// masqueradeChains know a connection of ours by where its client sent it, which
// conntrack remembers, so there is no packet mark to collide over.
//
// Host processes are masqueraded to ClusterIPs whatever local-pods holds: their
// source address was chosen by the route to the ClusterIP, often the default
// route, and need not be one that the endpoint can answer.
func masqueradeChains() []Chain {
	original := key(OriginalAddress, Protocol, OriginalPort)
	sentTo := func(set string) (rules []Rule) {
		for _, p := range []model.Protocol{model.TCP, model.UDP, model.SCTP} {
			rules = append(rules, Rule{IsProtocol(p), InSet{Key: original, Set: set}, Masquerade{}})
		}
		return rules
	}
	rules := []Rule{
		{ClearID{}},
		{InSet{Key: key(SourceAddress, DestinationAddress), Set: Hairpin}, Masquerade{}},
	}
	rules = append(rules, sentTo(ExternalFrontends)...)
	rules = append(rules,
		Rule{InSet{Key: key(SourceAddress), Set: LocalPods, Not: true}, Goto("stranger-to-clusterip")},
		Rule{IsFromHost{}, Goto("stranger-to-clusterip")},
	)
	return []Chain{
		{Name: "stranger-to-clusterip", Rules: sentTo(ClusterFrontends)},
		{Name: "translated", Rules: rules},
		{Name: "nat-postrouting", Hook: &Hook{"nat", "postrouting", 100, "srcnat"}, Rules: []Rule{{IsTranslated{}, Goto("translated")}}},
	}
}

// refusalChains are of type filter: in nat chains the kernel accepts a reject
// but clients time out. Later packets pay for one rule.
func refusalChains() []Chain {
	all := []Chain{
		{Name: "refuse", Rules: []Rule{{Reset{}}, {Unreachable{}}}},
		{Name: "check-endpoints", Rules: []Rule{
			{InSet{Key: key(DestinationAddress, Protocol, DestinationPort), Set: NoEndpoints}, Goto("refuse")},
		}},
	}
	for _, point := range []string{"input", "forward", "output"} {
		all = append(all, Chain{Name: "filter-" + point, Hook: &Hook{"filter", point, 0, "filter"}, Rules: []Rule{
			{IsNew{}, Goto("check-endpoints")},
		}})
	}
	return all
}
