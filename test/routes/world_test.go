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
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/internal/routes"
	"switchyard.dev/switchyard/test/prereq"
)

// world is two nodes that have the addresses of Services, and a client that
// reaches them through a router:
//
//	a   b         nodes, with a routing daemon each
//	 \ /
//	router        a bridge to the nodes, so that it does not see their links
//	  |
//	client
type world struct {
	*testing.T
	router, client *netns.Namespace
	talk           []string // the command that talks to the router's BIRD
	a, b           *node
}

// The addresses of Services that the nodes answer for, and the range of ClusterIPs.
var (
	web4   = netip.MustParsePrefix("192.0.2.10/32")
	web6   = netip.MustParsePrefix("fd00:99::10/128")
	later  = netip.MustParsePrefix("192.0.2.11/32")
	range4 = netip.MustParsePrefix("10.96.0.0/16")
	range6 = netip.MustParsePrefix("fd00:10:96::/112")
	all    = []netip.Prefix{web4, web6, range4, range6}
)

// newWorld has two nodes, each with a daemon and the product's announcer.
func newWorld(t *testing.T, daemon string) *world {
	w := newNetwork(t)
	w.a, w.b = w.newNode("a", 2, daemon), w.newNode("b", 3, daemon)
	w.a.begin()
	w.b.begin()
	return w
}

// newNetwork has no nodes yet.
func newNetwork(t *testing.T) *world {
	prereq.Root(t)
	w := &world{T: t, router: prereq.Namespace(t), client: prereq.Namespace(t)}
	w.ip(w.router, "link add name nodes type bridge", "address add 10.1.0.1/24 dev nodes", "address add fd00:1::1/64 dev nodes nodad", "link set nodes up")
	w.sysctl(w.router, "net/ipv4/ip_forward=1", "net/ipv6/conf/all/forwarding=1",
		"net/ipv4/fib_multipath_hash_policy=1", "net/ipv6/fib_multipath_hash_policy=1")
	w.join(w.client, "client", "10.2.0.2/24", "fd00:2::2/64")
	w.ip(w.router, "address add 10.2.0.1/24 dev client", "address add fd00:2::1/64 dev client nodad")
	w.ip(w.client, "route add default via 10.2.0.1", "route add default via fd00:2::1")
	prereq.Tool(t, "bird", "bird2")
	directory := w.directory("router")
	w.start(w.router, "bird", "-f", "-c", w.example("router-bird.conf"), "-s", directory+"/bird.ctl")
	w.talk = []string{"birdc", "-s", directory + "/bird.ctl"}
	w.await("the router's BIRD", func() bool { _, err := os.Stat(directory + "/bird.ctl"); return err == nil })
	return w
}

// node is a machine that announces.
type node struct {
	*world
	name   string
	ns     *netns.Namespace
	daemon daemon
	// announcer is the product's, from begin until stop is called.
	announcer *routes.Announcer
	stop      func()
	metrics   *metrics
}

func (w *world) newNode(name string, host int, kind string) *node {
	w.Helper()
	n := &node{world: w, name: name, ns: prereq.Namespace(w), metrics: &metrics{}}
	w.sysctl(n.ns, "net/ipv6/conf/default/accept_dad=0")
	w.join(n.ns, name, fmt.Sprintf("10.1.0.%d/24", host), fmt.Sprintf("fd00:1::%d/64", host))
	w.ip(w.router, "link set dev "+name+" master nodes")
	w.ip(n.ns, "route add default via 10.1.0.1", "route add default via fd00:1::1")
	for _, p := range append(all, later) {
		// Stands for the rules of the node: they answer for whole ranges, too.
		w.ip(n.ns, fmt.Sprintf("route add local %s dev lo", p))
	}
	w.answer(n)
	n.daemon = newDaemon(n, kind)
	n.daemon.start()
	return n
}

// begin runs the product's announcer.
func (n *node) begin() {
	n.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	n.announcer = routes.New(n.daemon.options(), n.metrics, func(err error) { n.Logf("node %s warns: %v", n.name, err) })
	done := make(chan struct{})
	go func() { defer close(done); n.announcer.Run(ctx) }()
	n.stop = func() { cancel(); <-done }
	n.Cleanup(n.stop)
}

func (n *node) announce(prefixes ...netip.Prefix) { n.announcer.Announce(n.Context(), prefixes) }

// answer says the node's name to everyone who connects to port 80.
func (w *world) answer(n *node) {
	w.Helper()
	var listener net.Listener
	w.in(n.ns, func() (err error) {
		listener, err = net.Listen("tcp", "[::]:80")
		return err
	})
	w.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(n.name)) // who asks notices
			_ = conn.Close()
		}
	}()
}

// ask makes one connection of the client and returns the name of the node that
// answers.
func (w *world) ask(addr netip.Addr) (string, error) {
	answer := make([]byte, 8)
	n := 0
	err := w.client.Do(func() error {
		conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(addr, 80).String(), longest)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(longest))
		n, err = conn.Read(answer)
		return err
	})
	return string(answer[:n]), err
}

// share counts the connections by the node that answers.
func (w *world) share(addr netip.Addr) map[string]int {
	w.Helper()
	counts := map[string]int{}
	for range 40 {
		name, err := w.ask(addr)
		if err != nil {
			w.Fatalf("asking %s: %v", addr, err)
		}
		counts[name]++
	}
	return counts
}

// hops are the next hops of the router's route to a prefix; 0 without route.
func (w *world) hops(prefix netip.Prefix) int {
	w.Helper()
	family := unix.AF_INET
	if prefix.Addr().Is6() {
		family = unix.AF_INET6
	}
	count := 0
	w.in(w.router, func() error {
		found, err := netlink.RouteList(nil, family)
		for _, r := range found {
			if r.Dst != nil && r.Dst.String() == prefix.String() {
				count += max(1, len(r.MultiPath))
			}
		}
		return err
	})
	return count
}

// awaitHops waits until the router has that many next hops for each prefix, and
// says how long it took.
func (w *world) awaitHops(what string, want int, prefixes ...netip.Prefix) {
	w.Helper()
	w.after(func() {}, what, want, prefixes...)
}

// after does something first; without prefixes it is about all.
func (w *world) after(action func(), what string, want int, prefixes ...netip.Prefix) {
	w.Helper()
	begun := time.Now()
	action()
	if len(prefixes) == 0 {
		prefixes = all
	}
	for _, p := range prefixes {
		w.await(fmt.Sprintf("%s: %d next hops for %s", what, want, p), func() bool { return w.hops(p) == want })
	}
	w.Logf("%s: %d next hops after %v", what, want, time.Since(begun).Round(10*time.Millisecond))
}

// longest is how long a condition or an answer may take; nothing here takes half of it.
const longest = 4 * time.Minute

func (w *world) await(what string, condition func() bool) {
	w.Helper()
	for end := time.Now().Add(longest); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("waited in vain for %s\n%s", what, w.sessions())
		}
	}
}

// sessions are those of the router's that are established, and since when.
func (w *world) sessions() map[string]time.Time {
	w.Helper()
	out, err := exec.CommandContext(w.Context(), w.talk[0], append(w.talk[1:], "show", "protocols")...).CombinedOutput()
	if err != nil {
		w.Fatalf("asking the router for its sessions: %v: %s", err, out)
	}
	all := map[string]time.Time{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line) // name, protocol, table, state, since, info
		if len(fields) < 6 || !strings.HasPrefix(fields[0], "node") || fields[5] != "Established" {
			continue
		}
		since, err := time.Parse("15:04:05.000", fields[4])
		if err != nil {
			w.Fatalf("reading since when %q is: %v", line, err)
		}
		all[fields[0]] = since
	}
	return all
}

func (w *world) in(ns *netns.Namespace, fn func() error) {
	w.Helper()
	if err := ns.Do(fn); err != nil {
		w.Fatal(err)
	}
}

// join connects a namespace's eth0 with the router.
func (w *world) join(ns *netns.Namespace, name string, addresses ...string) {
	w.Helper()
	w.ip(w.router, fmt.Sprintf("link add name %s type veth peer name eth0 netns /proc/%d/fd/%d", name, os.Getpid(), ns.Fd()), "link set dev "+name+" up")
	w.ip(ns, "link set eth0 up")
	for _, address := range addresses {
		nodad := ""
		if strings.Contains(address, ":") {
			nodad = " nodad"
		}
		w.ip(ns, "address add "+address+" dev eth0"+nodad)
	}
}

func (w *world) ip(ns *netns.Namespace, commands ...string) {
	w.Helper()
	for _, c := range commands {
		w.in(ns, func() error {
			if out, err := exec.CommandContext(w.Context(), "ip", strings.Fields(c)...).CombinedOutput(); err != nil {
				return fmt.Errorf("ip %s: %w: %s", c, err, out)
			}
			return nil
		})
	}
}

func (w *world) sysctl(ns *netns.Namespace, settings ...string) {
	w.Helper()
	w.in(ns, func() error {
		for _, s := range settings {
			name, value, _ := strings.Cut(s, "=")
			if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0); err != nil {
				return err
			}
		}
		return nil
	})
}
