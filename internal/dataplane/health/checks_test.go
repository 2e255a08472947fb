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

package health

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

var (
	web = types.NamespacedName{Namespace: "default", Name: "web"}
	dns = types.NamespacedName{Namespace: "kube-system", Name: "dns"}

	nodeV4, nodeV4b = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	// The kernel needs no moment to make this one usable.
	nodeV6 = netip.IPv6Loopback()
)

// checkNode is a network of its own with the node's addresses.
type checkNode struct {
	*testing.T
	ns     *netns.Namespace
	state  *State
	clock  *clock
	checks *ServiceChecks
}

func newCheckNode(t *testing.T) checkNode {
	t.Helper()
	state, clock := newState()
	n := checkNode{t, prereq.Namespace(t), state, clock, NewServiceChecks(state)}
	t.Cleanup(n.checks.Close)
	n.addAddress(nodeV4)
	n.addAddress(nodeV4b)
	return n
}

func (n checkNode) in(fn func() error) {
	n.Helper()
	if err := n.ns.Do(fn); err != nil {
		n.Fatal(err)
	}
}

func (n checkNode) addAddress(addr netip.Addr) {
	n.Helper()
	n.in(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		ip := &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(addr.BitLen(), addr.BitLen())}
		return netlink.AddrAdd(lo, &netlink.Addr{IPNet: ip, Flags: unix.IFA_F_NODAD})
	})
}

func (n checkNode) sync(family model.Family, wanted []ServiceCheck, addresses ...netip.Addr) (errs []*CheckError) {
	n.Helper()
	n.in(func() error { errs = n.checks.Sync(family, wanted, addresses); return nil })
	return errs
}

func (n checkNode) mustSync(family model.Family, wanted []ServiceCheck, addresses ...netip.Addr) {
	n.Helper()
	for _, err := range n.sync(family, wanted, addresses...) {
		n.Error(err)
	}
}

func (n checkNode) dial(address string) (conn net.Conn, err error) {
	err = n.ns.Do(func() error {
		conn, err = net.DialTimeout("tcp", address, 5*time.Second)
		return err
	})
	return conn, err
}

// answer is the status line and the weight, or why there is no answer.
func (n checkNode) answer(address string) (status int, weight, body string) {
	n.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return n.dial(address) },
	}}
	response, err := client.Get("http://" + address + "/any/path?at=all")
	if err != nil {
		n.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		n.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("X-Load-Balancing-Endpoint-Weight"), strings.TrimSpace(string(text))
}

func (n checkNode) silent(addresses ...string) {
	n.Helper()
	for _, address := range addresses {
		if conn, err := n.dial(address); !errors.Is(err, syscall.ECONNREFUSED) {
			n.Errorf("%s: a connection ends with %v, want it refused", address, err)
			if err == nil {
				_ = conn.Close()
			}
		}
	}
}

func TestAServiceCheckFollowsEndpointsAndHealth(t *testing.T) {
	n := newCheckNode(t)
	const (
		ready = `{"service":{"namespace":"default","name":"web"},"localEndpoints":2,"serviceProxyHealthy":true}`
		none  = `{"service":{"namespace":"default","name":"web"},"localEndpoints":0,"serviceProxyHealthy":true}`
		sick  = `{"service":{"namespace":"default","name":"web"},"localEndpoints":2,"serviceProxyHealthy":false}`
	)
	check := func(what string, wantStatus int, wantWeight, wantBody string) {
		t.Helper()
		status, weight, body := n.answer("192.0.2.1:30000")
		if status != wantStatus || weight != wantWeight || body != wantBody {
			t.Errorf("%s: %d, weight %s, %s\nwant %d, weight %s, %s", what, status, weight, body, wantStatus, wantWeight, wantBody)
		}
	}
	n.mustSync(model.IPv4, []ServiceCheck{{web, 30000, 2}}, nodeV4)
	check("two endpoints", http.StatusOK, "2", ready)
	n.state.SetEligible(false)
	check("the node is about to go, which its own /healthz tells", http.StatusOK, "2", ready)
	n.state.Queued(model.IPv6)
	n.clock.pass(Patience)
	check("the proxy is late", http.StatusServiceUnavailable, "2", sick)
	allDone(n.state, model.IPv6)
	n.mustSync(model.IPv4, []ServiceCheck{{web, 30000, 0}}, nodeV4)
	check("no endpoint", http.StatusServiceUnavailable, "0", none)
}

func TestServiceChecksFollowServicesAndAddresses(t *testing.T) {
	n := newCheckNode(t)
	weight := func(address, want string) {
		t.Helper()
		if _, got, _ := n.answer(address); got != want {
			t.Errorf("%s answers with weight %s, want %s", address, got, want)
		}
	}
	n.mustSync(model.IPv4, []ServiceCheck{{web, 30000, 1}, {dns, 30001, 2}}, nodeV4, nodeV6)
	n.silent("[::1]:30000", "[::1]:30001") // an address of another family
	n.mustSync(model.IPv6, []ServiceCheck{{web, 30000, 3}}, nodeV6)
	weight("192.0.2.1:30000", "1")
	weight("192.0.2.1:30001", "2")
	weight("[::1]:30000", "3")
	n.silent("192.0.2.2:30000", "127.0.0.1:30000", "[::1]:30001")

	staying, err := n.dial("192.0.2.1:30000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = staying.Close() }()
	later := netip.MustParseAddr("192.0.2.3")
	n.mustSync(model.IPv4, []ServiceCheck{{web, 30000, 4}}, nodeV4, nodeV4b, later)
	n.addAddress(later) // once it is there, the server is
	weight("192.0.2.2:30000", "4")
	weight("192.0.2.3:30000", "4")
	n.silent("192.0.2.1:30001")
	weight("[::1]:30000", "3")
	if _, err := io.WriteString(staying, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(staying); err != nil || !bytes.Contains(text, []byte("Endpoint-Weight: 4\r\n")) {
		t.Errorf("a connection from before: %q, %v", text, err)
	}

	n.mustSync(model.IPv4, []ServiceCheck{{dns, 30000, 5}}, nodeV4b)
	weight("192.0.2.2:30000", "5") // the port has moved to another Service
	n.silent("192.0.2.1:30000", "192.0.2.3:30000")
	n.mustSync(model.IPv4, []ServiceCheck{{dns, 30000, 6}}, netip.IPv4Unspecified())
	weight("192.0.2.1:30000", "6")
	weight("127.0.0.1:30000", "6")
	weight("[::1]:30000", "3")
	n.mustSync(model.IPv6, []ServiceCheck{{web, 30000, 7}}, netip.IPv6Unspecified())
	weight("[::1]:30000", "7") // tcp4 and tcp6 share a number
	weight("192.0.2.1:30000", "6")
	n.checks.Close()
	n.silent("192.0.2.1:30000", "[::1]:30000")
}

func TestAPortIsFreeAsSoonAsItIsClosed(t *testing.T) {
	n := newCheckNode(t)
	for i := range 200 { // often, since a server may be closed before it has begun
		n.mustSync(model.IPv4, []ServiceCheck{{[]types.NamespacedName{web, dns}[i%2], 30000, 1}}, nodeV4)
	}
}

func TestAPortInUseIsNamedAndTriedAgain(t *testing.T) {
	n := newCheckNode(t)
	var other net.Listener
	n.in(func() (err error) {
		other, err = net.Listen("tcp4", "192.0.2.1:30000")
		return err
	})
	wanted := []ServiceCheck{{web, 30000, 1}, {dns, 30001, 1}}
	var got []string
	for _, err := range n.sync(model.IPv4, wanted, nodeV4, nodeV4b) {
		got = append(got, err.Service.String()+": "+err.Error())
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%v is not EADDRINUSE", err)
		}
	}
	want := []string{"default/web: listening for health checks on 192.0.2.1:30000: bind: address already in use: " +
		"stop the program of this node that has it, or make the Service again with another healthCheckNodePort"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	for _, address := range []string{"192.0.2.2:30000", "192.0.2.1:30001", "192.0.2.2:30001"} {
		if status, _, _ := n.answer(address); status != http.StatusOK {
			t.Errorf("%s answers %d: one address has held back another", address, status)
		}
	}
	_ = other.Close()
	n.mustSync(model.IPv4, wanted, nodeV4, nodeV4b)
	if status, _, _ := n.answer("192.0.2.1:30000"); status != http.StatusOK {
		t.Errorf("the freed port answers %d", status)
	}
}

func TestASlowOrGreedyClientIsCutOff(t *testing.T) {
	n := newCheckNode(t)
	n.mustSync(model.IPv4, []ServiceCheck{{web, 30000, 1}}, nodeV4)
	conn, err := n.dial("192.0.2.1:30000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	request := "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n"
	go func() { _, _ = io.WriteString(conn, request) }() // the answer may come before its end
	text, _ := io.ReadAll(conn)
	if !bytes.HasPrefix(text, []byte("HTTP/1.1 431 ")) {
		t.Errorf("64 KiB of headers are answered with %q", text)
	}
	for _, server := range n.checks.servers {
		s := server.server
		if s.ReadHeaderTimeout == 0 || s.ReadTimeout == 0 || s.WriteTimeout == 0 || s.IdleTimeout == 0 {
			t.Errorf("a client may hold a connection for ever: %+v", s)
		}
	}
}
