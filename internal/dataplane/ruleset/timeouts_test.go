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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

func TestATimeoutIsWrittenAsNftDoes(t *testing.T) {
	for timeout, want := range map[time.Duration]string{
		time.Second: "1s", 60 * time.Second: "1m", 61 * time.Second: "1m1s", 3 * time.Hour: "3h",
		24 * time.Hour: "1d", 24*time.Hour - time.Second: "23h59m59s",
	} {
		if got := timeoutText(timeout); got != want {
			t.Errorf("%s: got %s, want %s", timeout, got, want)
		}
	}
}

func TestOnlyOurNamesAreChainsOfTimeouts(t *testing.T) {
	for name, want := range map[string]bool{
		"sticky-1": true, "sticky-86400": true, "sticky-0": false, "sticky-01": false, "sticky--1": false,
		"sticky-": false, "sticky-x": false, "pick-1": false, "sticky-99999999999": false,
	} {
		if got := stickyChainNamed(name) != nil; got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// With all classes taken, clients stay a little longer rather than shorter,
// and the plan says whose.
func TestWhenClassesOfTimeoutsRunOutTheNextLongerIsUsed(t *testing.T) {
	family := model.IPv4
	const classes = int(lastTimeout-firstTimeout) + 1
	var all []policy.Decision
	port := func(i int, timeout time.Duration) policy.Decision {
		d := clusterIP(family, fmt.Sprintf("s%04d", i), i+1, model.TCP, endpoints(family, podNet, 1))
		d.Affinity = timeout
		return d
	}
	for i := range classes {
		all = append(all, port(i, time.Duration(2*(i+1))*time.Second))
	}
	var p Planner
	if plan := p.Sync(testNode(family), all, nil); len(plan.Prolonged) != 0 {
		t.Errorf("%d classes are not enough for as many timeouts: %v", classes, plan.Prolonged)
	}
	for asked, want := range map[time.Duration]time.Duration{
		time.Second: 2 * time.Second, 7 * time.Second: 8 * time.Second, 24 * time.Hour: time.Duration(2*classes) * time.Second,
	} {
		one := port(classes, asked)
		plan := p.Apply([]policy.Decision{one}, nil)
		if diff := cmp.Diff([]model.ServicePortName{one.Name}, plan.Prolonged); diff != "" {
			t.Errorf("%s: who is prolonged (-want +got):\n%s", asked, diff)
		}
		if got := p.ports[one.Name].cluster.pins().timeout; got != want {
			t.Errorf("%s: got %s, want %s", asked, got, want)
		}
	}
	// A timeout that no one uses any more makes room.
	p.Apply(nil, []model.ServicePortName{all[500].Name})
	if plan := p.Apply([]policy.Decision{port(classes, 24*time.Hour)}, nil); len(plan.Prolonged) != 0 {
		t.Errorf("with room again: %v", plan.Prolonged)
	}
}

// BenchmarkOneStickyEndpointReplaced plans the replacement of one of 100
// endpoints of a Service with affinity.
func BenchmarkOneStickyEndpointReplaced(b *testing.B) {
	family := model.IPv4
	d := clusterIP(family, "web", 1, model.TCP, endpoints(family, otherNet, hosts(100)...))
	d.Affinity = 3 * time.Hour
	other := d
	other.Cluster = endpoints(family, otherNet, append(hosts(99), 1000)...)
	var p Planner
	p.Sync(testNode(family), []policy.Decision{d}, nil)
	b.ReportAllocs()
	edits := 0
	for n := 0; b.Loop(); n++ {
		edits += len(p.Apply([]policy.Decision{[]policy.Decision{other, d}[n%2]}, nil).Edits)
	}
	b.ReportMetric(float64(edits)/float64(b.N), "edits/op")
}
