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
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// routeChains follow the route that was found, flags first. The fewest Services
// have any, so each flag is one rule for those that do not.
func routeChains(features policy.Features) []Chain {
	return []Chain{
		checkSourceChain(),
		{Name: "any-endpoint", Rules: []Rule{
			{KeepID{}},
			{FindID{Key: key(ServicePortID), Map: ClusterRoutes}},
		}},
		// Traffic policy Local is for those who come from outside: pods of this
		// node and the node itself have the endpoints of the whole cluster.
		{Name: "external-local", Rules: []Rule{
			append(fromLocalPod(features), Goto("any-endpoint")),
			{IsFromHost{}, Goto("any-endpoint")},
		}},
		{Name: "services", Rules: []Rule{
			{HasFlag(restrictedFlag), Jump("check-source")},
			{HasFlag(externalLocalFlag), Jump("external-local")},
			{Branch{Key: key(ServicePortClass), Map: Classes}},
		}},
	}
}

func checkSourceChain() Chain {
	c := Chain{Name: "check-source"}
	for shard := range uint32(SourceShards) {
		from := InSet{Key: key(DestinationAddress, Protocol, DestinationPort, SourceAddress), Set: sourceRangeSet(shard), Range: true}
		c.Rules = append(c.Rules, Rule{InShard(shard), from, Return{}})
	}
	c.Rules = append(c.Rules, Rule{Drop{}})
	return c
}

func fromLocalPod(features policy.Features) Rule {
	if features.LocalInterface != "" {
		return Rule{CameInBy{Interface: features.LocalInterface}}
	}
	return Rule{InSet{Key: key(SourceAddress), Set: LocalPods}}
}

// translationChains stand before the source NAT of other software and after its
// filters at -150, as everyone's destination NAT does.
func translationChains(family model.Family, features policy.Features) []Chain {
	find := []Rule{
		{FindID{Key: key(DestinationAddress, Protocol, DestinationPort), Map: Frontends}, Goto("services")},
		{InSet{Key: key(DestinationAddress), Set: NodeAddresses}, FindID{Key: key(Protocol, DestinationPort), Map: NodePorts}, Goto("services")},
	}
	if features.AnswerEcho {
		find = append(find,
			Rule{IsEcho{}, InSet{Key: key(DestinationAddress), Set: ClusterIPs}, Redirect{}},
			Rule{IsEcho{}, InSet{Key: key(DestinationAddress), Set: ExternalVIPs}, Redirect{}})
	}
	var prerouting, output []Rule
	if features.CountConnections {
		count := Rule{InSet{Key: key(DestinationAddress, Protocol, DestinationPort), Set: Connections}}
		prerouting, output = append(prerouting, count), append(output, count)
	}
	if features.LocalhostNodePorts && family == model.IPv4 {
		// From the node alone: elsewhere 127.0.0.1 is someone else.
		output = append(output, Rule{SentTo(localhost), FindID{Key: key(Protocol, DestinationPort), Map: NodePorts}, Goto("services")})
	}
	return []Chain{
		{Name: "find-service", Rules: find},
		{Name: "nat-prerouting", Hook: &Hook{"nat", "prerouting", -100, "dstnat"}, Rules: append(prerouting, Rule{Goto("find-service")})},
		{Name: "nat-output", Hook: &Hook{"nat", "output", -100, "-100"}, Rules: append(output, Rule{Goto("find-service")})},
	}
}

// masqueradeChains know a connection of ours by where its client sent it, which
// conntrack remembers, so there is no packet mark to collide over.
//
// Host processes are masqueraded to ClusterIPs whatever unmasqueraded holds:
// their source address was chosen by the route to the ClusterIP, often the
// default route, and need not be one that the endpoint can answer.
func masqueradeChains(features policy.Features) []Chain {
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
		Rule{IsFromHost{}, Goto("from-host")},
		Rule{InSet{Key: key(SourceAddress), Set: Unmasqueraded, Not: true}, Goto("stranger-to-clusterip")},
	)
	if features.LocalInterface != "" {
		rules = append(rules, Rule{CameInBy{Interface: features.LocalInterface, Not: true}, Goto("stranger-to-clusterip")})
	}
	return []Chain{
		{Name: "stranger-to-clusterip", Rules: sentTo(ClusterFrontends)},
		{Name: "from-host", Rules: append(sentTo(LocalFrontends), Rule{Goto("stranger-to-clusterip")})},
		{Name: "translated", Rules: rules},
		{Name: "nat-postrouting", Hook: &Hook{"nat", "postrouting", 100, "srcnat"}, Rules: []Rule{{IsTranslated{}, Goto("translated")}}},
	}
}

// refusalChains are of type filter: in nat chains the kernel accepts a reject
// but clients time out. Later packets pay for one rule.
func refusalChains(family model.Family, features policy.Features) []Chain {
	endpoints := []Rule{
		{IsTranslated{}, Return{}},
		{InSet{Key: key(DestinationAddress, Protocol, DestinationPort), Set: NoEndpoints}, Goto("refuse")},
	}
	input := endpoints
	if features.LocalhostNodePorts && family == model.IPv4 {
		// With route_localnet the kernel no longer drops these itself
		// (CVE-2020-8558).
		input = append([]Rule{{CameInBy{Interface: "lo", Not: true}, SentToLoopback{}, Drop{}}}, input...)
	}
	addresses := append(slices.Clip(endpoints),
		// A frontend with endpoints whose way to them is missing: its elements are
		// on their way, or a foreign hand took them. What is sent again arrives.
		Rule{InSet{Key: key(DestinationAddress, Protocol, DestinationPort), Set: ClusterFrontends}, Drop{}},
		Rule{InSet{Key: key(DestinationAddress), Set: ClusterIPs}, Goto("refuse")},
		Rule{InSet{Key: key(DestinationAddress), Set: ServiceCIDRs}, Drop{}})
	all := []Chain{
		{Name: "refuse", Rules: []Rule{{Reset{}}, {Unreachable{}}}},
		{Name: "check-endpoints", Rules: input},
	}
	if features.RefusePooled {
		all = append(all, checkPooledChain())
		addresses = append(addresses, Rule{InSet{Key: key(DestinationAddress), Set: PooledVIPs}, Goto("check-pooled")})
	}
	return append(all,
		// A ClusterIP is never an address of the node, so what comes for one
		// that was not translated is on its way to nowhere.
		Chain{Name: "check-addresses", Rules: addresses},
		filterChain("input", Rule{IsNew{}, Goto("check-endpoints")}),
		filterChain("forward", forwardRules(features)...),
		filterChain("output", Rule{IsNew{}, Goto("check-addresses")}),
	)
}

func filterChain(hook string, rules ...Rule) Chain {
	return Chain{Name: "filter-" + hook, Hook: &Hook{"filter", hook, 0, "filter"}, Rules: rules}
}

// checkPooledChain is for what was sent to an address from an AddressPool and was
// not translated. It would be routed to where it came from, unless the node has
// the address itself, as keepalived gives it one.
func checkPooledChain() Chain {
	frontend := key(DestinationAddress, Protocol, DestinationPort)
	return Chain{Name: "check-pooled", Rules: []Rule{
		{IsForHost{}, Return{}},
		// As for ClusterIPs: what is sent again arrives.
		{InSet{Key: frontend, Set: ExternalFrontends}, Drop{}},
		{InSet{Key: frontend, Set: LocalFrontends}, Drop{}},
		{Goto("refuse")},
	}}
}

func forwardRules(features policy.Features) []Rule {
	check := Rule{IsNew{}, Goto("check-addresses")}
	if !features.RefusePooled {
		return []Rule{check}
	}
	return []Rule{
		{IsOngoing{}, Return{}}, // the one rule for later packets
		check,
		// What neither belongs to a connection nor begins one is not translated
		// either, whatever its port. It is not answered: it may be a stray packet of
		// a connection that goes on.
		{InSet{Key: key(DestinationAddress), Set: PooledVIPs}, Drop{}},
	}
}
