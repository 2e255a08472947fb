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

package packet

import (
	"net/netip"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

func (c *crowd) maglev(endpoints ...netip.AddrPort) policy.Decision {
	d := c.service(model.TCP, endpoints...)
	d.Scheduler = model.Maglev
	return d
}

// foretold is where each client goes by what a planner without any history
// and without a kernel makes of d: what every other node would do.
func (c *crowd) foretold(d policy.Decision) map[netip.Addr]string {
	c.Helper()
	var planner ruleset.Planner
	planner.Sync(c.config, []policy.Decision{d}, nil)
	tracer := ruleset.Tracer{Schema: ruleset.NewSchema(c.family, policy.Features{}), Elements: planner.Elements()}
	names := map[netip.AddrPort]string{c.a: "a", c.b: "b", c.c: "c"}
	all := map[netip.Addr]string{}
	for _, client := range c.clients {
		trace := tracer.Trace(ruleset.Packet{Source: client, To: ruleset.Frontend{Protocol: model.TCP, Addr: c.vip()}})
		if len(trace.Targets) != 1 {
			c.Fatalf("%s: %v", client, trace.Targets)
		}
		all[client] = names[trace.Targets[0].Endpoint]
	}
	return all
}

func TestMaglevChoosesAlikeOnEveryNode(t *testing.T) {
	eachFamilyCrowded(t, 48, func(c *crowd) {
		c.program(c.maglev(c.c))
		for _, endpoints := range [][]netip.AddrPort{{c.a, c.b, c.c}, {c.a, c.c}, {c.a, c.b, c.c}} {
			d := c.maglev(endpoints...)
			c.apply(d)
			want := c.foretold(d)
			if len(spread(want)) != len(endpoints) {
				c.Errorf("48 clients are to choose %v", spread(want))
			}
			if diff := moved(want, c.choices(c.vip())); len(diff) != 0 {
				c.Errorf("with %d endpoints, not as foretold: %v", len(endpoints), diff)
			}
			if diff := moved(want, c.choices(netip.AddrPortFrom(c.nodeIP(), nodePort))); len(diff) != 0 {
				c.Errorf("by the NodePort, not as foretold: %v", diff)
			}
		}
	})
}

func TestMaglevMovesFewClientsWhenAnEndpointGoes(t *testing.T) {
	eachFamilyCrowded(t, 48, func(c *crowd) {
		c.program(c.maglev(c.a, c.b, c.c))
		before := c.choices(c.vip())
		c.apply(c.maglev(c.a, c.c))
		others := 0
		for client, server := range c.choices(c.vip()) {
			if before[client] != "b" && before[client] != server {
				others++
			}
		}
		// One or two in a hundred is usual.
		if all := len(c.clients); others > all/8 {
			c.Errorf("%d of %d clients moved that were not b's", others, all)
		}
	})
}

func TestConnectionsSpreadByWeight(t *testing.T) {
	const connections = 1200
	eachFamilyCrowded(t, 1, func(c *crowd) {
		d := c.service(model.TCP, c.a, c.b, c.c)
		d.Scheduler, d.Weights = model.Weighted, map[netip.AddrPort]uint16{c.a: 10, c.b: 30, c.c: 20}
		c.program(d)
		counts := map[string]int{}
		for range connections {
			counts[c.ask(c.clients[0], c.vip())]++
		}
		if chi := chiSquare(counts, map[string]float64{"a": 1, "b": 3, "c": 2}); chi > chiSquareLimit[2] {
			c.Errorf("chi-square %.2f exceeds %.2f: %v", chi, chiSquareLimit[2], counts)
		}
	})
}

func TestStickyClientsSpreadByWeight(t *testing.T) {
	eachFamilyCrowded(t, 200, func(c *crowd) {
		d := c.sticky(c.a, c.b)
		d.Scheduler, d.Weights = model.Weighted, map[netip.AddrPort]uint16{c.a: 1, c.b: 3}
		c.program(d)
		first := c.choices(c.vip())
		if chi := chiSquare(spread(first), map[string]float64{"a": 1, "b": 3}); chi > chiSquareLimit[1] {
			c.Errorf("chi-square %.2f exceeds %.2f: %v", chi, chiSquareLimit[1], spread(first))
		}
		if diff := moved(first, c.choices(c.vip())); len(diff) != 0 {
			c.Errorf("%v moved", diff)
		}
	})
}
