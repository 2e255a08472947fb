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
	"time"
)

// Session affinity. A client of a list with affinity is pinned to the number
// of an endpoint (see keepNumbers) rather than to its address:
//
//	affinity  id . hash of the client -> pin, with a timeout, made by packets
//	sticky    protocol . port . pin   -> address . port
//
// A pin is a number above an id. A client without a pin draws one:
//
//	spreads   id            -> size of the draw above the id
//	draws     id . slot     -> pin, slots filled like those of endpoints
//
// What a Service costs does not depend on clients, and a packet's rules not on
// endpoints. An endpoint that goes takes its sticky elements along; the
// client's next lookup misses, and it draws again.
const (
	// Affinity is filled by packets alone. The hash keeps its size bounded and
	// its key small; clients that share a bucket share an endpoint.
	Affinity = "affinity"
	// Sticky has one element per endpoint and port that clients send to.
	Sticky = "sticky"
	// Draws and Spreads are what the draw chains read.
	Draws   = "draws"
	Spreads = "spreads"
	// DrawClasses: class -> the draw chain of that many slots. It is apart
	// from Classes, which leads to chains that come here: the kernel would
	// see a loop.
	DrawClasses = "draw-classes"
	// StickyChains stands for the chains that exist for the affinity timeouts
	// in use, as if they were a set of their names.
	StickyChains = "sticky chains"
)

const (
	// clientBuckets is how many buckets clients hash to, per list.
	clientBuckets = 1 << 20
	// affinitySize bounds the pins of all lists. When it is reached, clients
	// without a pin draw for each connection.
	affinitySize = 1 << 20
)

// stickyRounds is how often a pin is tried. The first may be to an endpoint
// that is gone; the second is drawn from those that are there, and misses only
// if its endpoint goes between two lookups.
const stickyRounds = 3

// stickyChain keeps clients with their endpoints until they have opened no
// connection for the timeout.
//
// Update makes a pin with what was drawn, or prolongs one and leaves it as it
// is. The lookup after it tells which. When the map is full both break, and
// what was drawn serves for this connection.
func stickyChain(timeout time.Duration) Chain {
	client := Key{is(OnlyID), hash(clientBuckets)}
	c := Chain{Name: stickyName(timeout), OnDemand: true}
	for round := range stickyRounds {
		if round > 0 {
			c.Rules = append(c.Rules, Rule{Forget{Key: client, Map: Affinity}})
		}
		c.Rules = append(c.Rules,
			Rule{Jump("draw")},
			Rule{Remember{Key: client, Map: Affinity, Timeout: timeout}},
			Rule{FindID{Key: client, Map: Affinity}},
			Rule{Translate{Key: key(Protocol, DestinationPort, ServicePortID), Map: Sticky}},
		)
	}
	c.Rules = append(c.Rules, Rule{Drop{}})
	return c
}

// stickyChainNamed is the sticky chain of that name, or nil.
func stickyChainNamed(name string) *Chain {
	timeout, ok := stickyTimeout(name)
	if !ok {
		return nil
	}
	c := stickyChain(timeout)
	return &c
}

// affinitySets are in load order.
func affinitySets() []Set {
	return []Set{
		{Name: Sticky, Key: key(Protocol, DestinationPort, ServicePortID), Data: key(DestinationAddress, DestinationPort)},
		{Name: Draws, Key: Key{is(ServicePortID), draw(2)}, Data: key(ServicePortID)},
		{Name: DrawClasses, Key: key(ServicePortID), Verdicts: true},
		{Name: Spreads, Key: key(ServicePortID), Data: key(ServicePortID)},
		{Name: Affinity, Key: Key{is(ServicePortID), draw(2)}, Data: key(ServicePortID), Size: affinitySize},
	}
}

func drawName(class uint32) string { return fmt.Sprintf("draw-%d", class) }

// drawChains leave a pin in the packet and return to where they were jumped
// from.
func drawChains() []Chain {
	var all []Chain
	for class := uint32(1); class <= maxClass; class *= 2 {
		c := Chain{Name: drawName(class)}
		for _, modulus := range drawModuli(class) {
			c.Rules = append(c.Rules, Rule{FindID{Key: Key{is(OnlyID), draw(modulus)}, Map: Draws}, Return{}})
		}
		c.Rules = append(c.Rules, Rule{Drop{}})
		all = append(all, c)
	}
	return append(all, Chain{Name: "draw", Rules: []Rule{
		{FindID{Key: key(OnlyID), Map: Spreads}},
		{Branch{Key: key(ServicePortClass), Map: DrawClasses}},
	}})
}
