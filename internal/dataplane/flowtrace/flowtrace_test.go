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

package flowtrace_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"switchyard.dev/switchyard/internal/dataplane/flowtrace"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

// node is a network namespace with a translation from a virtual address to a
// server on the machine itself.
type node struct {
	*netns.Namespace
	family string
	vip    netip.AddrPort
	server netip.AddrPort
}

func newNode(t *testing.T, family string) node {
	t.Helper()
	n := node{prereq.Namespace(t), family, netip.MustParseAddrPort("10.96.0.10:80"), netip.MustParseAddrPort("127.0.0.1:8080")}
	if family == "ip6" {
		n.vip, n.server = netip.MustParseAddrPort("[fd00::10]:80"), netip.MustParseAddrPort("[::1]:8080")
	}
	n.must(t, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		_, everywhere, _ := net.ParseCIDR(map[string]string{"ip": "0.0.0.0/0", "ip6": "::/0"}[family])
		return netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: everywhere})
	})
	n.nft(t, fmt.Sprintf("table %s services { chain out { type nat hook output priority -100; %s daddr %s tcp dport 80 dnat to %s; }; }",
		family, family, n.vip.Addr(), n.server))
	return n
}

func (n node) must(t *testing.T, fn func() error) {
	t.Helper()
	if err := n.Do(fn); err != nil {
		t.Fatal(err)
	}
}

func (n node) nft(t *testing.T, rules string) {
	t.Helper()
	tool := prereq.Tool(t, "nft", "nftables")
	n.must(t, func() error {
		cmd := exec.Command(tool, "-f", "-")
		cmd.Stdin = strings.NewReader(rules)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// trace connects to the virtual address and returns what the kernel told.
func (n node) trace(t *testing.T) []flowtrace.Packet {
	t.Helper()
	packets := n.follow(t, flowtrace.Flow{Protocol: model.TCP, Destination: n.vip})
	if len(packets) == 0 {
		t.Fatal("no packet was seen")
	}
	return packets
}

// follow connects to a flow's destination and returns what the kernel has told by
// then, which is all.
func (n node) follow(t *testing.T, flow flowtrace.Flow) []flowtrace.Packet {
	t.Helper()
	var follower *flowtrace.Follower
	n.must(t, func() (err error) {
		follower, err = flowtrace.Follow(flow)
		return err
	})
	defer func() {
		if err := follower.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Log(err)
		}
	}()
	n.must(t, func() error {
		dialer := net.Dialer{Timeout: 300 * time.Millisecond}
		if conn, err := dialer.Dial("tcp", flow.Destination.String()); err == nil {
			return conn.Close()
		}
		return nil
	})
	over, cancel := context.WithCancel(context.Background())
	cancel() // as on a machine that comes to it late
	packets, err := follower.Collect(over, 0)
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

func TestTheWayOfATranslatedConnectionIsTold(t *testing.T) {
	for _, family := range []string{"ip", "ip6"} {
		t.Run(family, func(t *testing.T) {
			n := newNode(t, family)
			n.nft(t, "table "+family+" filter { chain out { type filter hook output priority 0; }; }")
			first := n.trace(t)[0]
			if got := first.SentTo(); got != n.server {
				t.Errorf("sent to %s, want %s: %+v", got, n.server, first.Steps)
			}
			if _, dropped := first.Dropped(); dropped {
				t.Errorf("dropped: %+v", first.Steps)
			}
			if step := first.Steps[0]; step.Table != family+" services" || step.Chain != "out" || step.Handle == 0 || step.Destination != n.vip {
				t.Errorf("the first step is %+v", step)
			}
		})
	}
}

func TestWhoDropsAPacketIsNamed(t *testing.T) {
	for _, family := range []string{"ip", "ip6"} {
		t.Run(family, func(t *testing.T) {
			n := newNode(t, family)
			n.nft(t, "table inet firewall { chain guard { type filter hook output priority 0; tcp dport 8080 drop; }; }")
			step, dropped := n.trace(t)[0].Dropped()
			if !dropped || step.Table != "inet firewall" || step.Chain != "guard" || step.Handle == 0 {
				t.Errorf("dropped %t by %+v", dropped, step)
			}
		})
	}
}

func TestAPolicyThatDropsIsNamed(t *testing.T) {
	n := newNode(t, "ip")
	n.nft(t, "table ip firewall { chain guard { type filter hook output priority 10; policy drop; }; }")
	step, dropped := n.trace(t)[0].Dropped()
	if !dropped || step.Table != "ip firewall" || step.Verdict != "policy drop" || step.Handle != 0 {
		t.Errorf("dropped %t by %+v", dropped, step)
	}
}

func TestOnlyTheClientThatIsAskedForIsFollowed(t *testing.T) {
	for _, family := range []string{"ip", "ip6"} {
		n := newNode(t, family)
		flow := flowtrace.Flow{Protocol: model.TCP, Source: n.server.Addr(), Destination: n.server}
		if got := n.follow(t, flow); len(got) == 0 || got[0].SentFrom().Addr() != flow.Source {
			t.Errorf("%s: the client was not seen: %+v", family, got)
		}
		flow.Source = n.vip.Addr()
		if got := n.follow(t, flow); len(got) != 0 {
			t.Errorf("%s: another client was seen: %+v", family, got)
		}
	}
}

// More is sent than the socket holds, and no end of it.
func TestABusyFlowIsCut(t *testing.T) {
	n := newNode(t, "ip")
	n.nft(t, "table ip filter { chain out { type filter hook output priority 0; }; }")
	flow := flowtrace.Flow{Protocol: model.UDP, Destination: n.server}
	var follower *flowtrace.Follower
	var conn net.Conn
	n.must(t, func() (err error) {
		if follower, err = flowtrace.Follow(flow); err == nil {
			conn, err = net.Dial("udp", n.server.String())
		}
		return err
	})
	defer func() { _ = follower.Close(); _ = conn.Close() }()
	for range 5000 {
		_, _ = conn.Write([]byte("x")) // nobody listens, and says so to every second one
	}
	ended := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for {
			select {
			case <-ended:
				return
			default:
				_, _ = conn.Write([]byte("x"))
			}
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	packets, err := follower.Collect(ctx, time.Minute)
	close(ended)
	sending.Wait()
	steps := 0
	for _, packet := range packets {
		steps += len(packet.Steps)
	}
	if err != nil || ctx.Err() != nil || steps < 4096 || steps > 2*4096 {
		t.Errorf("%d steps, error %v, out of time %v", steps, err, ctx.Err())
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	n := newNode(t, "ip")
	n.trace(t)
	tool := prereq.Tool(t, "nft", "nftables")
	n.must(t, func() error {
		out, err := exec.Command(tool, "list", "tables").CombinedOutput()
		if strings.Contains(string(out), "switchyard-trace") {
			t.Errorf("left: %s", out)
		}
		return err
	})
}

func TestAFlowThatCanNotBeIsRefused(t *testing.T) {
	for name, flow := range map[string]flowtrace.Flow{
		"no destination": {Protocol: model.TCP},
		"no port":        {Protocol: model.TCP, Destination: netip.MustParseAddrPort("10.0.0.1:0")},
		"two families": {Protocol: model.UDP, Destination: netip.MustParseAddrPort("10.0.0.1:53"),
			Source: netip.MustParseAddr("fd00::1")},
		"no protocol": {Destination: netip.MustParseAddrPort("10.0.0.1:53")},
	} {
		if f, err := flowtrace.Follow(flow); err == nil {
			t.Errorf("%s: followed", name)
			_ = f.Close()
		}
	}
}
