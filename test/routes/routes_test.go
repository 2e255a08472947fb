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

package routes

import (
	"maps"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/cmd/node/app"
	"switchyard.dev/switchyard/internal/routes"
)

// beTheAgent makes this program switchyard-node.
const beTheAgent = "SWITCHYARD_TEST_ROUTES_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(beTheAgent) != "" {
		os.Exit(app.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	ctrllog.SetLogger(logr.Discard()) // what matters comes as a warning, too
	os.Exit(m.Run())
}

func TestRoutesByBIRD(t *testing.T) { t.Parallel(); live(t, routes.BIRD) }

func TestRoutesByFRR(t *testing.T) { t.Parallel(); live(t, routes.FRR) }

// live goes through what happens to two nodes, one thing after the other, as
// the sessions of BGP take seconds to begin.
func live(t *testing.T, daemon string) {
	w := newWorld(t, daemon)
	w.a.announce(all...)
	w.b.announce(all...)
	w.awaitHops("both announce", 2, all...)
	w.expectBoth("both announce")
	sessions := w.sessions()

	// Another set is no reason to end a session.
	w.after(func() { w.a.announce(web6, range4, range6) }, "a may not have the IPv4 address any more", 1, web4)
	w.expectOnly("b")
	w.a.announce(append(all, later)...)
	w.awaitHops("a may again", 2, web4, web6)
	w.awaitHops("an address more", 1, later)
	w.a.announce(all...)
	w.awaitHops("an address less", 0, later)
	w.awaitHops("nothing else has changed", 2, all...)
	w.expectSame(sessions)

	// The agent stops, as for an upgrade: all stays.
	w.a.stop()
	w.awaitHops("a's agent stops", 2, all...)
	w.expectSame(sessions)
	w.a.begin()
	w.a.announce(all...)
	w.await("the new agent has told", func() bool { return !w.a.metrics.isPending() })
	w.expectSame(sessions)

	// A daemon that is killed closes its sessions. What is wanted while it is
	// away is announced when it is back.
	w.after(w.a.daemon.crash, "a's daemon is killed", 1)
	w.expectOnly("b")
	w.a.announce(append(all, later)...)
	w.await("the agent sees that it is away", w.a.metrics.isPending)
	w.a.daemon.start()
	w.awaitHops("a's daemon is back", 2, all...)
	w.awaitHops("with what was wanted meanwhile", 1, later)
	w.expectBoth("a's daemon is back")

	// The router sees a bridge, so that the loss is not told by the link.
	w.after(func() { w.ip(w.router, "link set dev a down") }, "a is unreachable (BFD, 3 x 1 s)", 1)
	w.expectOnly("b")
	w.after(func() { w.ip(w.router, "link set dev a up") }, "a is reachable", 2)

	w.after(w.a.daemon.hang, "a's daemon hangs (BIRD: BFD, FRR: hold time 9 s)", 1)
	w.after(w.a.daemon.resume, "a's daemon goes on", 2)

	w.after(func() { w.a.announce() }, "a announces nothing", 1)
	w.expectOnly("b")
}

func (w *world) expectBoth(when string) {
	w.Helper()
	for _, p := range all[:2] {
		if counts := w.share(p.Addr()); len(counts) != 2 {
			w.Errorf("%s: connections to %s by node: %v", when, p, counts)
		} else {
			w.Logf("%s: connections to %s by node: %v", when, p, counts)
		}
	}
}

// expectOnly is about IPv4, which all cases have in common.
func (w *world) expectOnly(name string) {
	w.Helper()
	if counts := w.share(web4.Addr()); len(counts) != 1 || counts[name] == 0 {
		w.Errorf("connections to %s by node: %v, want %s only", web4, counts, name)
	}
}

// expectSame allows for BIRD's clocks: it says what one of them told by the other,
// which now and then gives another millisecond. A new session takes seconds.
func (w *world) expectSame(sessions map[string]time.Time) {
	w.Helper()
	now := w.sessions()
	if !maps.EqualFunc(now, sessions, func(a, b time.Time) bool { return a.Sub(b).Abs() < 100*time.Millisecond }) {
		w.Errorf("sessions were established at\n%v, now at\n%v", sessions, now)
	}
	if len(now) == 0 {
		w.Error("no session is established")
	}
}
