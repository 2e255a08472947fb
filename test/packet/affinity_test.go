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
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

// crowd is a world with three endpoints and many clients.
type crowd struct {
	*world
	a, b, c netip.AddrPort
	clients []netip.Addr
}

func eachFamilyCrowded(t *testing.T, clients int, test func(c *crowd)) {
	eachFamily(t, func(w *world) {
		c := &crowd{world: w}
		c.a, c.b = w.serve(w.a, "a", w.podIP(podA)), w.serve(w.b, "b", w.podIP(podB))
		c.c = w.serve(w.outside, "c", w.outsideIP())
		for i := range clients {
			addr := w.podIP(20 + i)
			w.in(w.client, func() error { return w.address("eth0", addr) })
			w.in(w.node, func() error { return w.route("pod-client", netip.PrefixFrom(addr, addr.BitLen()), netip.Addr{}) })
			c.clients = append(c.clients, addr)
		}
		test(c)
	})
}

// sticky is a service that keeps its clients for three hours.
func (c *crowd) sticky(endpoints ...netip.AddrPort) policy.Decision {
	d := c.service(model.TCP, endpoints...)
	d.Affinity = 3 * time.Hour
	return d
}

func (c *crowd) ask(client netip.Addr, to netip.AddrPort) string {
	c.Helper()
	got, err := askAs(patience, c.client, client, "tcp", to)
	if err != nil {
		c.Fatalf("%s to %s: %v", client, to, err)
	}
	return got.server
}

func (c *crowd) vip() netip.AddrPort { return netip.AddrPortFrom(c.clusterIP(), 80) }

// choices asks once for every client.
func (c *crowd) choices(to netip.AddrPort) map[netip.Addr]string {
	c.Helper()
	all := map[netip.Addr]string{}
	for _, client := range c.clients {
		all[client] = c.ask(client, to)
	}
	return all
}

// spread says how often each server was chosen.
func spread(choices map[netip.Addr]string) map[string]int {
	counts := map[string]int{}
	for _, server := range choices {
		counts[server]++
	}
	return counts
}

// pins lists the affinity map of the node.
func (c *crowd) pins() string {
	c.Helper()
	return nftTool(c.T, c.node, "", "list", "map", c.keyword(), "switchyard", "affinity")
}

func (w *world) keyword() string {
	if w.family == model.IPv4 {
		return "ip"
	}
	return "ip6"
}

func nftTool(t *testing.T, ns *netns.Namespace, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command(prereq.Tool(t, "nft", "nftables"), args...)
	cmd.Stdin = strings.NewReader(input)
	var out []byte
	err := ns.Do(func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		t.Fatalf("nft %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// enough clients meet every one of three endpoints, but for once in 10^10 times.
const enough = 60

func TestAClientStaysWithItsEndpointOnEveryWay(t *testing.T) {
	eachFamilyCrowded(t, enough, func(c *crowd) {
		c.program(c.sticky(c.a, c.b, c.c))
		first := c.choices(c.vip())
		if counts := spread(first); len(counts) != 3 {
			c.Errorf("%d clients chose %v", enough, counts)
		}
		for name, way := range c.ways() {
			if way.from != c.client {
				continue
			}
			for range 3 {
				if diff := moved(first, c.choices(way.to)); len(diff) != 0 {
					c.Errorf("%s: %v moved", name, diff)
				}
			}
		}
		for _, from := range []*netns.Namespace{c.node, c.outside} {
			servers := map[string]bool{}
			for range 20 {
				got, err := ask(from, "tcp", netip.AddrPortFrom(c.externalIP(), 80))
				if err != nil {
					c.Fatal(err)
				}
				servers[got.server] = true
			}
			if len(servers) != 1 {
				c.Errorf("one client met %v", servers)
			}
		}
	})
}

// moved lists who chose otherwise the second time.
func moved(before, after map[netip.Addr]string) map[netip.Addr]string {
	diff := map[netip.Addr]string{}
	for client, server := range after {
		if before[client] != server {
			diff[client] = before[client] + " to " + server
		}
	}
	return diff
}

func TestClientsOfAnEndpointThatGoesChooseAgainAndOthersStay(t *testing.T) {
	eachFamilyCrowded(t, 24, func(c *crowd) {
		c.program(c.sticky(c.a, c.b, c.c))
		before := c.choices(c.vip())
		c.apply(c.sticky(c.a, c.c))
		after := c.choices(c.vip())
		for client, server := range before {
			if stays := server != "b"; stays != (after[client] == server) {
				c.Errorf("%s had %s and has %s", client, server, after[client])
			}
		}
		if diff := moved(after, c.choices(c.vip())); len(diff) != 0 {
			c.Errorf("the second choice does not last: %v", diff)
		}
		// An endpoint that comes takes no one away from the others.
		c.apply(c.sticky(c.a, c.b, c.c))
		if diff := moved(after, c.choices(c.vip())); len(diff) != 0 {
			c.Errorf("%v moved when an endpoint came", diff)
		}
		// A full sync leaves pins alone, as it leaves what it did not make.
		if result := c.program(c.sticky(c.a, c.b, c.c)); result.Transactions != 0 {
			c.Errorf("a full sync with live pins wrote %+v", result)
		}
		if diff := moved(after, c.choices(c.vip())); len(diff) != 0 {
			c.Errorf("%v moved by a full sync", diff)
		}
	})
}

func TestNewClientsSpreadOverStickyEndpoints(t *testing.T) {
	const clients = 200
	eachFamilyCrowded(t, clients, func(c *crowd) {
		c.program(c.sticky(c.a, c.b, c.c))
		counts := spread(c.choices(c.vip()))
		if chi := chiSquare(counts, map[string]float64{"a": 1, "b": 1, "c": 1}); chi > chiSquareLimit[2] {
			c.Errorf("chi-square %.2f exceeds %.2f: %v", chi, chiSquareLimit[2], counts)
		}
	})
}

// Conformance: sessionAffinity is switched on a live Service. No connection
// fails, established ones go on, and pins of living endpoints last.
func TestAffinityIsSwitchedUnderTraffic(t *testing.T) {
	eachFamilyCrowded(t, 12, func(c *crowd) {
		plain := c.service(model.TCP, c.a, c.b, c.c)
		quick := c.sticky(c.a, c.b, c.c)
		quick.Affinity = 2 * time.Minute // more than a machine that stalls takes to ask for all clients
		c.program(plain)
		conn, err := dial(c.client, "tcp", c.vip())
		if err != nil {
			c.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		whose, err := exchange(conn)
		if err != nil {
			c.Fatal(err)
		}
		stop, failed := c.keepAsking()
		c.apply(c.sticky(c.a, c.b, c.c))
		pinned := c.choices(c.vip())
		for name, d := range map[string]policy.Decision{"a shorter timeout": quick, "the longer one": c.sticky(c.a, c.b, c.c)} {
			c.apply(d)
			if diff := moved(pinned, c.choices(c.vip())); len(diff) != 0 {
				c.Errorf("%s: %v moved", name, diff)
			}
		}
		c.apply(plain)
		servers := map[string]bool{}
		for range enough {
			servers[c.ask(c.clients[0], c.vip())] = true
		}
		if len(servers) != 3 {
			c.Errorf("without affinity one client meets only %v", servers)
		}
		c.apply(quick)
		if diff := moved(c.choices(c.vip()), c.choices(c.vip())); len(diff) != 0 {
			c.Errorf("switched on again: %v moved", diff)
		}
		stop()
		if n := failed(); n != 0 {
			c.Errorf("%d connections failed meanwhile", n)
		}
		if got, err := exchange(conn); err != nil || got.server != whose.server {
			c.Errorf("the established connection: %+v, %v", got, err)
		}
	})
}

// keepAsking connects again and again until stopped.
func (c *crowd) keepAsking() (stop func(), failed func() int) {
	ctx, cancel := context.WithCancel(context.Background())
	done, count := make(chan struct{}), 0
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if _, err := ask(c.client, "tcp", c.vip()); err != nil {
				count++
			}
		}
	}()
	return cancel, func() int { <-done; return count }
}

var expires = regexp.MustCompile(`expires ([0-9a-z]+)`)

func (c *crowd) remaining() time.Duration {
	c.Helper()
	found := expires.FindStringSubmatch(c.pins())
	if found == nil {
		return 0
	}
	left, err := time.ParseDuration(found[1])
	if err != nil {
		c.Fatal(err)
	}
	return left
}

func (c *crowd) await(what string, condition func() bool) {
	c.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func TestEachConnectionProlongsAffinityAndAnIdleClientIsForgotten(t *testing.T) {
	eachFamilyCrowded(t, 2, func(c *crowd) {
		d := c.sticky(c.a, c.b, c.c)
		d.Affinity = time.Minute // a machine that stalls must not end it
		c.program(d)
		first := c.ask(c.clients[0], c.vip())
		c.await("the pin ages", func() bool { return c.remaining() < d.Affinity-time.Second/2 })
		aged := c.remaining()
		if aged == 0 {
			c.Fatalf("no pin:\n%s", c.pins())
		}
		if got := c.ask(c.clients[0], c.vip()); got != first {
			c.Errorf("moved from %s to %s", first, got)
		}
		if now := c.remaining(); now <= aged {
			c.Errorf("the pin lasted %s, and after another connection %s", aged, now)
		}
		d.Affinity = time.Second
		c.program(d)
		c.ask(c.clients[1], c.vip())
		c.await("the pin ends, and the other client's does not", func() bool {
			pins := c.pins()
			return !strings.Contains(pins, "timeout 1s ") && strings.Contains(pins, "timeout 1m ")
		})
	})
}

func TestAFullAffinityMapRefusesNoOne(t *testing.T) {
	eachFamilyCrowded(t, 12, func(c *crowd) {
		c.program(c.sticky(c.a, c.b, c.c))
		listed := nftTool(c.T, c.node, "", "list", "table", c.keyword(), "switchyard")
		small := regexp.MustCompile(`size \d+`).ReplaceAllString(listed, "size 4")
		nftTool(c.T, c.node, "delete table "+c.keyword()+" switchyard\n"+small, "-f", "-")
		before := c.choices(c.vip())
		if n := strings.Count(c.pins(), "expires"); n != 4 {
			c.Fatalf("%d pins, want the map full with 4:\n%s", n, c.pins())
		}
		for range 3 {
			after := c.choices(c.vip())
			for i, client := range c.clients[:4] {
				if before[client] != after[client] {
					c.Errorf("client %d has a pin and moved", i)
				}
			}
		}
	})
}

func TestTheOtherSideOfALocalPolicyIsStickyToo(t *testing.T) {
	eachFamilyCrowded(t, 12, func(c *crowd) {
		d := c.sticky(c.a, c.b, c.c)
		d.Local, d.External = []netip.AddrPort{c.a, c.b}, policy.LocalScope
		c.program(d)
		// Pods of the node have all endpoints by an external address, too.
		inside := c.choices(netip.AddrPortFrom(c.externalIP(), 80))
		if diff := moved(inside, c.choices(netip.AddrPortFrom(c.nodeIP(), nodePort))); len(diff) != 0 {
			c.Errorf("%v moved", diff)
		}
		outside := map[string]bool{}
		for range 20 {
			for _, to := range []netip.AddrPort{netip.AddrPortFrom(c.externalIP(), 80), netip.AddrPortFrom(c.nodeIP(), nodePort)} {
				got, err := ask(c.outside, "tcp", to)
				if err != nil {
					c.Fatal(err)
				}
				outside[got.server] = true
			}
		}
		if len(outside) != 1 || outside["c"] {
			c.Errorf("a client outside met %v, want a or b alone", outside)
		}
	})
}

func TestInternalPolicyLocalIsSticky(t *testing.T) {
	eachFamilyCrowded(t, enough, func(c *crowd) {
		d := c.sticky(c.a, c.b, c.c)
		d.Local, d.Internal = []netip.AddrPort{c.a, c.b}, policy.LocalScope
		c.program(d)
		first := c.choices(c.vip())
		if counts := spread(first); len(counts) != 2 || counts["c"] != 0 {
			c.Errorf("%d clients chose %v, want the two of this node", enough, counts)
		}
		// An external address leads to all three.
		if counts := spread(c.choices(netip.AddrPortFrom(c.externalIP(), 80))); counts["c"] == 0 {
			c.Errorf("by an external address %d clients chose %v", enough, counts)
		}
		if diff := moved(first, c.choices(c.vip())); len(diff) != 0 {
			c.Errorf("%v moved", diff)
		}
		d.Local = []netip.AddrPort{c.a}
		c.apply(d)
		if counts := spread(c.choices(c.vip())); counts["a"] != len(c.clients) {
			c.Errorf("with one endpoint left on this node, %v", counts)
		}
	})
}

func TestOneAffinityOverAllPortsOfAService(t *testing.T) {
	eachFamilyCrowded(t, 24, func(c *crowd) {
		ports := c.twoPorts()
		c.program(append([]policy.Decision(nil), ports...)...) // whoever programs them keeps them
		first := c.choices(c.vip())
		second := netip.AddrPortFrom(c.clusterIP(), 81)
		if diff := moved(first, c.choices(second)); len(diff) != 0 {
			c.Errorf("on the other port %v", diff)
		}
		for i := range ports {
			ports[i].Cluster = []netip.AddrPort{ports[i].Cluster[0], ports[i].Cluster[2]}
		}
		c.apply(ports...)
		again := c.choices(second)
		if diff := moved(again, c.choices(c.vip())); len(diff) != 0 {
			c.Errorf("after a change, on the other port %v", diff)
		}
		for client, server := range first {
			if server != "b" && again[client] != server {
				c.Errorf("%s had %s and has %s", client, server, again[client])
			}
		}
	})
}

// twoPorts are two ports of one Service, on the same machines.
func (c *crowd) twoPorts() []policy.Decision {
	web := c.sticky(c.a, c.b, c.c)
	admin := web
	web.Name.Port, admin.Name.Port = "web", "admin"
	web.AffinityScope, admin.AffinityScope = model.PerService, model.PerService
	admin.Port, admin.NodePort, admin.Cluster = 81, nodePort+1, nil
	for name, at := range map[string]netip.AddrPort{"a": c.a, "b": c.b, "c": c.c} {
		other := netip.AddrPortFrom(at.Addr(), 9090)
		c.serveAt(map[string]*netns.Namespace{"a": c.world.a, "b": c.world.b, "c": c.outside}[name], name, other)
	}
	for _, at := range web.Cluster {
		admin.Cluster = append(admin.Cluster, netip.AddrPortFrom(at.Addr(), 9090))
	}
	return []policy.Decision{web, admin}
}

func TestTheKernelHashesClientsAsWeDo(t *testing.T) {
	eachFamilyCrowded(t, 8, func(c *crowd) {
		c.program(c.sticky(c.a, c.b, c.c))
		c.choices(c.vip())
		listed := c.pins()
		for _, client := range c.clients {
			if bucket := fmt.Sprintf(". %d timeout", ruleset.ClientBucket(client)); !strings.Contains(listed, bucket) {
				c.Errorf("%s is not in %q of\n%s", client, bucket, listed)
			}
		}
	})
}
