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
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/netns"
)

// routed is a world where a router sends the load balancer's address to the node,
// whose default route leads to that router.
type routed struct {
	*world
	router machine
	// far is a client behind the router.
	far *netns.Namespace
}

const farLink = "far"

func newRouted(w *world) *routed {
	r := &routed{world: w, router: w.anotherMachine("router"), far: w.namespace()}
	w.in(w.node, func() error { return w.route(r.router.link, w.everything(), r.router.ip) })
	w.connectTo(r.router.Namespace, r.far, farLink, w.either("192.168.200.2", "fd60::2"), w.either("192.168.200.1", "fd60::1"))
	w.in(r.router.Namespace, func() error {
		for _, link := range []string{"all", "eth0"} { // what comes back has a source from elsewhere
			if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+link+"/rp_filter", []byte("0"), 0); err != nil {
				return err
			}
		}
		if err := forward(); err != nil {
			return err
		}
		return w.route("eth0", w.single(w.balancerIP()), r.router.via)
	})
	return r
}

// forwarded is how many packets the router has forwarded so far.
func (r *routed) forwarded() int {
	r.Helper()
	file, read := "snmp", forwarded4
	if r.family == model.IPv6 {
		file, read = "snmp6", forwarded6
	}
	n := 0
	r.in(r.router.Namespace, func() error {
		text, err := os.ReadFile("/proc/thread-self/net/" + file)
		if err == nil {
			n, err = strconv.Atoi(read(string(text)))
		}
		return err
	})
	return n
}

// forwarded4 reads a table of names above numbers.
func forwarded4(text string) string {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if fields[0] != "Ip:" {
			continue
		}
		for i, name := range names {
			if name == "ForwDatagrams" {
				return fields[i]
			}
		}
		names = fields
	}
	return ""
}

func forwarded6(text string) string {
	_, rest, _ := strings.Cut(text, "Ip6OutForwDatagrams")
	return strings.Fields(rest)[0]
}

// awaitForwarded waits for the router to forward n packets.
func (r *routed) awaitForwarded(n int) bool {
	for deadline := time.Now().Add(patience); r.forwarded() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// round is less than what one packet makes the router forward that goes back and
// forth. One that is refused and its answer are two.
const round = 20

func TestPacketsToAPortThatNoServiceHasDoNotGoBackAndForth(t *testing.T) {
	eachFamily(t, func(w *world) {
		r := newRouted(w)
		at := w.serve(w.a, "a", w.podIP(podA))
		other := way{r.far, netip.AddrPortFrom(w.balancerIP(), 81)}
		served := way{r.far, netip.AddrPortFrom(w.balancerIP(), 80)}

		w.program(w.pooled(model.TCP, at)) // and does not announce it
		served.expect(t, "tcp", "a")
		for _, network := range []string{"tcp", "udp"} {
			before := r.forwarded()
			_, _ = askWithin(shortPatience, other.from, network, other.to)
			if !r.awaitForwarded(before + round) {
				t.Fatalf("%s: no loop to be ended: the router forwarded %d packets", network, r.forwarded()-before)
			}
		}

		w.announce()
		w.program(w.pooled(model.TCP, at))
		before := r.forwarded()
		other.expect(t, "tcp", refused)
		other.expect(t, "udp", refused)
		served.expect(t, "udp", refused)
		w.expectSCTPRefused(r.far, other.to, 43000)
		if got := w.ping(r.far, w.balancerIP(), "unreachable"); got != "unreachable" {
			t.Errorf("ping: %q, want unreachable", got)
		}
		if n := r.forwarded() - before; n > round {
			t.Errorf("the router forwarded %d packets for five questions and their answers", n)
		}
		served.expect(t, "tcp", "a")
	})
}

// A packet that conntrack can make nothing of is not translated, whatever its port.
func TestPacketsOfNoConnectionDoNotGoBackAndForth(t *testing.T) {
	eachFamily(t, func(w *world) {
		r := newRouted(w)
		d := w.pooled(model.TCP, w.serve(w.a, "a", w.podIP(podA)))
		w.program(d)
		before := r.forwarded()
		r.sendNonsense(80)
		if !r.awaitForwarded(before + round) {
			t.Fatalf("no loop to be ended: the router forwarded %d packets", r.forwarded()-before)
		}
		w.announce()
		w.program(d)
		before = r.forwarded()
		const sent = 50
		for range sent {
			r.sendNonsense(80)
			r.sendNonsense(81)
		}
		// Who comes after them is answered after them.
		way{r.far, netip.AddrPortFrom(w.balancerIP(), 81)}.expect(t, "tcp", refused)
		if n := r.forwarded() - before; n > 2*sent+2 {
			t.Errorf("the router forwarded %d packets, of which %d were sent to it", n, 2*sent)
		}
	})
}

// sendNonsense sends a TCP segment without flags and checksum.
func (r *routed) sendNonsense(port byte) {
	r.Helper()
	network := "ip4:tcp"
	if r.family == model.IPv6 {
		network = "ip6:tcp"
	}
	segment := make([]byte, 20)
	segment[0], segment[3], segment[12] = 0xa0, port, 5<<4
	r.in(r.far, func() error {
		conn, err := net.Dial(network, r.balancerIP().String())
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		_, err = conn.Write(segment)
		return err
	})
}

// What routers say of a connection reaches who it is for.
func TestThePathMTUIsFoundThroughAnAddressFromAPool(t *testing.T) {
	eachFamily(t, func(w *world) {
		r := newRouted(w)
		w.in(r.router.Namespace, func() error { // the client does not know
			link, err := netlink.LinkByName(farLink)
			if err != nil {
				return err
			}
			return netlink.LinkSetMTU(link, 1280)
		})
		at := netip.AddrPortFrom(w.podIP(podA), 8080)
		var listener net.Listener
		w.in(w.a, func() (err error) {
			listener, err = net.Listen("tcp", at.String())
			return err
		})
		defer func() { _ = listener.Close() }()
		const size = 200_000
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Write(make([]byte, size))
				_ = conn.Close()
			}
		}()
		w.announce()
		for _, scope := range []policy.Scope{policy.ClusterScope, policy.LocalScope} {
			d := w.pooled(model.TCP, at)
			if d.External = scope; scope == policy.LocalScope {
				d.Local = d.Near
			}
			w.program(d)
			conn, err := dial(r.far, "tcp", netip.AddrPortFrom(w.balancerIP(), 80))
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			if got, err := io.Copy(io.Discard, conn); got != size {
				t.Errorf("read %d bytes of %d: %v", got, size, err)
			}
			_ = conn.Close()
		}
	})
}
