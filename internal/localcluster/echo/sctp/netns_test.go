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

package sctp_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/localcluster/echo/sctp"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

// patience bounds every wait for what has to come.
const patience = 3 * time.Minute

// network is a client, a router that can translate, and a server.
type network struct{ client, router, server *netns.Namespace }

func newNetwork(t *testing.T) network {
	t.Helper()
	n := network{client: prereq.Namespace(t), router: prereq.Namespace(t), server: prereq.Namespace(t)}
	do(t, n.router, func() error {
		for _, setting := range []string{"ipv4/ip_forward=1", "ipv6/conf/all/forwarding=1"} {
			if err := exec.Command("sysctl", "-qw", "net/"+setting).Run(); err != nil {
				return fmt.Errorf("sysctl %s: %w", setting, err)
			}
		}
		return nil
	})
	join(t, n.router, n.client, "client", 1)
	join(t, n.router, n.server, "server", 2)
	return n
}

func do(t *testing.T, ns *netns.Namespace, f func() error) {
	t.Helper()
	if err := ns.Do(f); err != nil {
		t.Fatal(err)
	}
}

// join gives the router .1 and the other .2 of networks 10.0.n and fd00:n.
func join(t *testing.T, router, other *netns.Namespace, name string, n int) {
	t.Helper()
	configure := func(name string, host int) error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
		for _, prefix := range []string{fmt.Sprintf("10.0.%d.%d/24", n, host), fmt.Sprintf("fd00:%d::%d/64", n, host)} {
			addr, _ := netlink.ParseAddr(prefix)
			if strings.Contains(prefix, ":") {
				addr.Flags = unix.IFA_F_NODAD
			}
			if err := netlink.AddrAdd(link, addr); err != nil {
				return err
			}
		}
		return nil
	}
	do(t, router, func() error {
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(other.Fd())})
	})
	do(t, router, func() error { return configure(name, 1) })
	do(t, other, func() error {
		if err := configure("eth0", 2); err != nil {
			return err
		}
		for _, gateway := range []string{fmt.Sprintf("10.0.%d.1", n), fmt.Sprintf("fd00:%d::1", n)} {
			if err := netlink.RouteAdd(&netlink.Route{Gw: netip.MustParseAddr(gateway).AsSlice()}); err != nil {
				return fmt.Errorf("route by %s: %w", gateway, err)
			}
		}
		return nil
	})
}

func dial(t *testing.T, ns *netns.Namespace, to string) (*sctp.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var conn *sctp.Conn
	err := ns.Do(func() (err error) {
		conn, err = sctp.Dial(ctx, netip.MustParseAddrPort(to))
		return err
	})
	return conn, err
}

func listen(t *testing.T, ns *netns.Namespace, port uint16) *sctp.Listener {
	t.Helper()
	var listener *sctp.Listener
	do(t, ns, func() (err error) {
		listener, err = sctp.Listen(port, func(m sctp.Message) []byte {
			return fmt.Appendf(nil, "%s says %s", m.Client.Addr(), m.Data)
		})
		return err
	})
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func exchange(t *testing.T, conn *sctp.Conn, message string) string {
	t.Helper()
	if err := conn.Send([]byte(message)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answer, err := conn.Receive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// Both ends drop packets with a wrong CRC32c, so an answer proves that the
// kernel rewrote it on the way there and back.
func TestMessagesCrossAddressAndPortTranslation(t *testing.T) {
	prereq.Tool(t, "nft", "nftables")
	n := newNetwork(t)
	listen(t, n.server, 9999)
	do(t, n.router, func() error {
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(`table inet nat {
			chain prerouting { type nat hook prerouting priority dstnat;
				ip daddr 10.96.0.5 sctp dport 19 dnat ip to 10.0.2.2:9999
				ip6 daddr fd96::5 sctp dport 19 dnat ip6 to [fd00:2::2]:9999; }
			chain postrouting { type nat hook postrouting priority srcnat; oifname server masquerade; }
		}`)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	for to, want := range map[string]string{"10.96.0.5:19": "10.0.2.1 says hi", "[fd96::5]:19": "fd00:2::1 says hi"} {
		conn, err := dial(t, n.client, to)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if got := exchange(t, conn, "hi"); got != want {
				t.Errorf("%s: %q, want %q", to, got, want)
			}
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

// On a busy machine an INIT may be answered when it has been sent again, and then both.
func TestALateServersAnswersCrossTranslation(t *testing.T) {
	prereq.Tool(t, "nft", "nftables")
	n := newNetwork(t)
	server := listen(t, n.server, 9999)
	nft := func(input string, args ...string) (out []byte) {
		t.Helper()
		do(t, n.router, func() (err error) {
			cmd := exec.Command("nft", args...)
			cmd.Stdin = strings.NewReader(input)
			out, err = cmd.CombinedOutput()
			return err
		})
		return out
	}
	nft(`table ip nat {
		counter inits { }
		chain forward { type filter hook forward priority 0; ip daddr 10.0.2.2 sctp chunk init exists counter name inits; }
		chain prerouting { type nat hook prerouting priority dstnat; ip daddr 10.96.0.5 sctp dport 19 dnat to 10.0.2.2:9999; }
	}`, "-f", "-")
	resume := sync.OnceFunc(server.Stall())
	defer resume()
	dialled := make(chan error, 1)
	go func() {
		conn, err := dial(t, n.client, "10.96.0.5:19")
		if err == nil {
			err = conn.Close()
		}
		dialled <- err
	}()
	for deadline := time.Now().Add(patience); !strings.Contains(string(nft("", "list", "counter", "ip", "nat", "inits")), "packets 2 "); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the INIT is not sent again")
		}
	}
	resume()
	if err := <-dialled; err != nil {
		t.Error(err)
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	n := newNetwork(t)
	listen(t, n.server, 7)
	errs := make(chan error)
	for i := range 50 {
		go func() {
			conn, err := dial(t, n.client, []string{"10.0.2.2:7", "[fd00:2::2]:7"}[i%2])
			if err == nil {
				defer func() { _ = conn.Close() }()
				err = conn.Send(fmt.Appendf(nil, "number %d", i))
			}
			if err == nil {
				var answer []byte
				answer, err = conn.Receive(t.Context())
				if err == nil && !strings.HasSuffix(string(answer), fmt.Sprintf("says number %d", i)) {
					err = fmt.Errorf("client %d heard %q", i, answer)
				}
			}
			errs <- err
		}()
	}
	for range 50 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestClientsOfOneNamespaceHavePortsOfTheirOwn(t *testing.T) {
	n := newNetwork(t)
	listen(t, n.server, 7)
	t.Cleanup(sctp.PreferPort(65534)) // of which two are left
	open := func() *sctp.Conn {
		t.Helper()
		conn, err := dial(t, n.client, "10.0.2.2:7")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	first, second, third := open(), open(), open()
	for conn, want := range map[*sctp.Conn]uint16{first: 65534, second: 65535, third: 49152} {
		if got := conn.LocalAddr().Port(); got != want {
			t.Errorf("a client has port %d, want %d", got, want)
		}
	}
	if err := second.Close(); err != nil { // which is no end of the others
		t.Error(err)
	}
	for _, conn := range []*sctp.Conn{first, third} {
		if got := exchange(t, conn, "x"); got != "10.0.1.2 says x" {
			t.Errorf("%q", got)
		}
	}
	if got := open().LocalAddr().Port(); got != 65535 {
		t.Errorf("a client has port %d, want the one that was given back", got)
	}
}

func TestAClientHasNoPortOfAListener(t *testing.T) {
	n := newNetwork(t)
	listen(t, n.server, 7)
	listen(t, n.client, 50000)
	t.Cleanup(sctp.PreferPort(50000))
	conn, err := dial(t, n.client, "10.0.2.2:7")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for range 3 { // the listener would tell the server that there is no such client
		if got := exchange(t, conn, "x"); got != "10.0.1.2 says x" {
			t.Errorf("%q", got)
		}
	}
	do(t, n.client, func() error {
		if _, err := sctp.Listen(conn.LocalAddr().Port(), nil); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("listening at a client's port: %v", err)
		}
		return nil
	})
}

func TestRefusalsAreInstant(t *testing.T) {
	n := newNetwork(t)
	listen(t, n.server, 1)
	for to, want := range map[string]error{
		"10.0.2.2:2": sctp.ErrAborted, "[fd00:2::2]:2": sctp.ErrAborted, // another port is open there
		"10.0.1.1:1": syscall.ENOPROTOOPT, "[fd00:1::1]:1": nil, // nobody speaks SCTP there
	} {
		conn, err := dial(t, n.client, to)
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s accepted", to)
		}
		if errors.Is(err, context.DeadlineExceeded) || (want != nil && !errors.Is(err, want)) {
			t.Errorf("%s: %v, want %v", to, err, want)
		}
	}
}

func TestPortsOfOneNamespaceShareTheProtocol(t *testing.T) {
	n := newNetwork(t)
	first := listen(t, n.server, 100)
	listen(t, n.server, 200)
	do(t, n.server, func() error {
		if _, err := sctp.Listen(100, nil); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("opening a port twice: %v", err)
		}
		return nil
	})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, n.client, "10.0.2.2:100"); !errors.Is(err, sctp.ErrAborted) {
		t.Errorf("a closed port: %v", err)
	}
	conn, err := dial(t, n.client, "10.0.2.2:200")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if got := exchange(t, conn, "x"); got != "10.0.1.2 says x" {
		t.Errorf("%q", got)
	}
}
