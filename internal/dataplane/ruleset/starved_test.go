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
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

func TestWhenIdsRunOutTheOthersAreServedAndTheLastSoonAfter(t *testing.T) {
	for _, family := range families {
		port := func(i int) policy.Decision {
			return clusterIP(family, fmt.Sprint("s", i), i, model.TCP, endpoints(family, podNet, i))
		}
		var p Planner
		k := newKernel(t)
		k.carryOut(p.Sync(testNode(family), nil, nil))
		p.ids.last = IDMask - 1
		apply := func(when string, changed []policy.Decision, removed []model.ServicePortName, want ...model.ServicePortName) {
			t.Helper()
			plan := p.Apply(changed, removed)
			k.carryOut(plan)
			if diff := cmp.Diff(want, plan.Starved); diff != "" {
				t.Errorf("%s: who has no id (-want +got):\n%s", when, diff)
			}
			if diff := cmp.Diff(p.Elements(), nonEmpty(k.elements)); diff != "" {
				t.Errorf("%s: -planner +kernel:\n%s", when, diff)
			}
		}
		served := func(d policy.Decision) bool {
			to := Frontend{d.Name.Protocol, netip.AddrPortFrom(d.ClusterIP, d.Port)}
			trace := Tracer{NewSchema(family, policy.Features{}), k.elements}.Trace(Packet{Source: ip(family, podNet, 77), To: to})
			return len(trace.Targets) == 1 && trace.Targets[0].Endpoint == d.Cluster[0]
		}
		a, b, c := port(1), port(2), port(3)
		apply("three for one id", []policy.Decision{a, b, c}, nil, b.Name, c.Name)
		if !served(a) || served(b) || served(c) {
			t.Errorf("served are %v, %v, %v", served(a), served(b), served(c))
		}
		apply("one goes", nil, []model.ServicePortName{a.Name}, b.Name, c.Name)
		apply("the next change", nil, nil, c.Name)
		if !served(b) {
			t.Error("an id is free, and the first to wait has not got it")
		}
		apply("who waits goes", nil, []model.ServicePortName{c.Name})
		if left := p.ids.left(); left != 0 {
			t.Errorf("%d ids are left", left)
		}
	}
}

// Two ports that share need one id for the two of them, whoever of them waits.
func TestPortsThatShareStarveAndAreServedTogether(t *testing.T) {
	for _, family := range families {
		shared := func(port string, number uint16, hosts ...int) policy.Decision {
			d := clusterIP(family, "shared", 10, model.TCP, endpoints(family, podNet, hosts...))
			d.Name.Port, d.Port = port, number
			d.Affinity, d.AffinityScope = time.Hour, model.PerService
			return d
		}
		alone := clusterIP(family, "alone", 1, model.TCP, endpoints(family, podNet, 9))
		a, b := shared("a", 80, 1, 2), shared("b", 81, 1, 2)
		var p Planner
		k := newKernel(t)
		k.carryOut(p.Sync(testNode(family), nil, nil))
		p.ids.last = IDMask - 1
		apply := func(when string, changed []policy.Decision, removed []model.ServicePortName, want ...model.ServicePortName) {
			t.Helper()
			plan := p.Apply(changed, removed)
			k.carryOut(plan)
			if diff := cmp.Diff(want, plan.Starved); diff != "" {
				t.Errorf("%s %s: who has no id (-want +got):\n%s", family, when, diff)
			}
			if diff := cmp.Diff(p.Elements(), nonEmpty(k.elements)); diff != "" {
				t.Errorf("%s %s: -planner +kernel:\n%s", family, when, diff)
			}
			starved := map[model.ServicePortName]bool{}
			for _, name := range plan.Starved {
				starved[name] = true
			}
			for name, sp := range p.ports {
				to := Frontend{model.TCP, netip.AddrPortFrom(sp.decision.ClusterIP, sp.decision.Port)}
				trace := Tracer{NewSchema(family, policy.Features{}), k.elements}.Trace(Packet{Source: ip(family, podNet, 77), To: to})
				if served := len(trace.Targets) == len(sp.decision.Cluster); served == starved[name] {
					t.Errorf("%s %s: %s leads to %v", family, when, name, trace.Targets)
				}
			}
		}
		apply("one id for three", []policy.Decision{alone, a, b}, nil, a.Name, b.Name)
		apply("it is given back", nil, []model.ServicePortName{alone.Name}, a.Name, b.Name)
		apply("the next change", nil, nil)
		apply("their hosts differ", []policy.Decision{shared("b", 81, 3)}, nil, b.Name)
		apply("they are the same again", []policy.Decision{b}, nil)
		apply("one goes, the id stays", []policy.Decision{alone}, []model.ServicePortName{b.Name}, alone.Name)
		apply("the other goes", nil, []model.ServicePortName{a.Name}, alone.Name)
		apply("the id is free", nil, nil)
	}
}
