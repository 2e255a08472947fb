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
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/model"
)

// step is an event of a test.
type step func(context.Context, world)

// spread is web over two slices, an endpoint in each, with its port's name.
func spread(name string, protocol corev1.Protocol) map[string]step {
	svc := makeService("web", "10.96.0.1", 80, protocol)
	svc.Spec.Ports[0].Name = name
	slice := func(number int, address string) *discoveryv1.EndpointSlice {
		eps := makeSlice("web", 8080, protocol, address)
		eps.Name, eps.Ports[0].Name = fmt.Sprint("web-", number), &name
		return eps
	}
	return map[string]step{
		"Service": func(ctx context.Context, w world) { w.setService(ctx, svc) },
		"slice 1": func(ctx context.Context, w world) { w.setSlice(ctx, slice(1, "10.0.0.1")) },
		"slice 2": func(ctx context.Context, w world) { w.setSlice(ctx, slice(2, "10.0.0.2")) },
	}
}

// orders are all in which the parts of a rename may come.
var orders = [][]string{
	{"Service", "slice 1", "slice 2"}, {"Service", "slice 2", "slice 1"}, {"slice 1", "Service", "slice 2"},
	{"slice 2", "Service", "slice 1"}, {"slice 1", "slice 2", "Service"}, {"slice 2", "slice 1", "Service"},
}

// Neither half of a rename may cost a flow, whatever comes between the halves.
func TestARenameKeepsTheFlowsOfAllSlices(t *testing.T) {
	between := map[string]step{
		"nothing":                 func(context.Context, world) {},
		"a repair":                func(_ context.Context, w world) { w.repair(model.IPv4) },
		"the end of the patience": func(context.Context, world) { time.Sleep(2 * renamePatience) },
	}
	for _, protocol := range []corev1.Protocol{tcp, udp} {
		for _, order := range orders {
			for what, pause := range between {
				t.Run(fmt.Sprint(protocol, " ", order, " with ", what, " between"), func(t *testing.T) {
					inWorld(t, func(ctx context.Context, w world) { renameInSteps(ctx, t, w, protocol, order, pause) })
				})
			}
		}
	}
}

func renameInSteps(ctx context.Context, t *testing.T, w world, protocol corev1.Protocol, order []string, pause step) {
	for _, part := range spread("", protocol) {
		part(ctx, w)
	}
	w.begin(ctx)
	synctest.Wait()
	w.sweeper.take()
	parts := spread("http", protocol)
	for _, part := range order {
		parts[part](ctx, w)
		synctest.Wait()
		pause(ctx, w)
		synctest.Wait()
		expectAllowed(t, "after "+part, w.sweeper.take(), "10.0.0.1:8080", "10.0.0.2:8080")
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	expectAllowed(t, "later", w.sweeper.take(), "10.0.0.1:8080", "10.0.0.2:8080")
	expect(t, "table", w.v4.lines(), []string{"default/web:http/" + string(protocol) + " 10.96.0.1:80 -> [10.0.0.1:8080 10.0.0.2:8080]"})
	w.deleteSlice(ctx, "default", "web-2")
	synctest.Wait()
	after := w.sweeper.take()
	if len(after) != 2 || after[0].Amends {
		t.Errorf("asked for %+v once an endpoint is gone", after)
	}
	for _, s := range after {
		if !slices.Equal(s.Allowed, []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:8080")}) {
			t.Errorf("flows to %v stay, though one has gone", s.Allowed)
		}
	}
}

// expectAllowed compares what every request spares.
func expectAllowed(t *testing.T, when string, asked []conntrack.Stale, want ...string) {
	t.Helper()
	for _, s := range asked {
		for _, endpoint := range want {
			if !slices.Contains(s.Allowed, netip.MustParseAddrPort(endpoint)) {
				t.Errorf("%s: flows of %v:%d to the living %s are to go: %+v", when, s.Addrs, s.Port, endpoint, s)
			}
		}
	}
}

func TestARenamedPortIsSweptWithItsEndpointsAllowed(t *testing.T) {
	for _, protocol := range []corev1.Protocol{tcp, udp} {
		inWorld(t, func(ctx context.Context, w world) {
			for _, part := range spread("", protocol) {
				part(ctx, w)
			}
			w.begin(ctx)
			synctest.Wait()
			w.sweeper.take()
			parts := spread("http", protocol)
			for _, part := range orders[0] {
				parts[part](ctx, w)
			}
			synctest.Wait()
			asked := w.sweeper.take()
			expectAllowed(t, string(protocol), asked, "10.0.0.1:8080", "10.0.0.2:8080")
			seen := map[string]bool{}
			for _, s := range asked {
				for _, addr := range s.Addrs {
					seen[netip.AddrPortFrom(addr, s.Port).String()] = true
				}
			}
			if !seen["10.96.0.1:80"] || !seen["172.18.0.2:30080"] {
				t.Errorf("%s: asked for %+v", protocol, asked)
			}
		})
	}
}

// A Service that waits for the rest of a rename holds on to its destinations.
// Another may get one of them meanwhile, and must not lose its flows at the end.
func TestADestinationThatMovedDuringARenameKeepsItsNewFlows(t *testing.T) {
	const vip = "203.0.113.9"
	inWorld(t, func(ctx context.Context, w world) {
		dns := func(name, clusterIP, port string, vips ...string) *corev1.Service {
			svc := makeService(name, clusterIP, 53, udp)
			svc.Spec.ExternalIPs, svc.Spec.Ports[0].Name, svc.Spec.Ports[0].NodePort = vips, port, 0
			return svc
		}
		w.setService(ctx, dns("old", "10.96.0.1", "", vip))
		w.setService(ctx, dns("new", "10.96.0.2", ""))
		w.setSlice(ctx, makeSlice("old", 53, udp, "10.0.0.1"))
		w.setSlice(ctx, makeSlice("new", 53, udp, "10.0.0.2"))
		w.begin(ctx)
		synctest.Wait()
		w.setService(ctx, dns("old", "10.96.0.1", "dns"))
		w.setService(ctx, dns("new", "10.96.0.2", "", vip))
		synctest.Wait()
		w.sweeper.take()
		time.Sleep(2 * renamePatience)
		var told int
		for _, s := range w.sweeper.take() {
			if slices.Contains(s.Addrs, netip.MustParseAddr(vip)) {
				told++
				expectAllowed(t, "at the end of the wait", []conntrack.Stale{s}, "10.0.0.2:53")
			}
		}
		if told == 0 {
			t.Error("flows that lead to the old Service stay")
		}
	})
}

// What is decided for one sync is decided at one moment.
func TestNothingChangesWhileASyncIsDecided(t *testing.T) {
	w := newWorld()
	ctx := t.Context()
	w.setService(ctx, named())
	w.setSlice(ctx, makeSlice("web", 8080, tcp, "10.0.0.1"))
	seen := 0
	w.decide(model.IPv4, w.store.Names(), func(s settled) {
		seen++
		if w.mu.TryLock() {
			w.mu.Unlock()
			t.Errorf("%s is settled, and the others may change", s.name)
		}
		if s.name.Port == "http" && !s.half {
			t.Error("half of a rename is not recognised as such")
		}
	})
	if seen != 2 {
		t.Errorf("%d settled, want 2", seen)
	}
}
