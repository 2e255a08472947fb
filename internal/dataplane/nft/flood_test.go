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

package nft_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/netns"
)

// flood is a node that gets as many new connections to one Service as a
// processor can send. Each is counted where it comes in and where it leaves, and
// ends there, so that conntrack never remembers it.
//
// What others do is in the way as well: their destination NAT at the same
// priority takes long, as does the check of the Service's source ranges. The
// longer a packet takes, the more of them are on their way at any moment.
type flood struct {
	*testing.T
	node, clients *netns.Namespace
	service       policy.Decision
}

// counting is all that happens to the connections but for our table. What has
// left came through everything: it goes to an endpoint, from the node.
const counting = `
table ip counting {
	counter arrived { }
	counter untranslated { }
	counter left { }
	chain raw {
		type filter hook prerouting priority -300
		ip daddr 10.200.0.1 counter name arrived
	}
	chain forward {
		type filter hook forward priority -10
		ip daddr 10.200.0.1 counter name untranslated
	}
	chain last {
		type filter hook postrouting priority 300
		ip saddr 192.168.7.1 ip daddr 10.2.0.0/16 counter name left
		meta l4proto udp drop
	}
}
`

func newFlood(t *testing.T) *flood {
	t.Helper()
	f := &flood{T: t, node: newNamespace(t), clients: newNamespace(t), service: decision(model.IPv4, 1, 4)}
	f.service.Name.Protocol = model.UDP
	f.service.LoadBalancerIPs = []netip.Addr{netip.MustParseAddr("10.200.0.1")}
	f.service.SourceRanges = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}
	f.do(f.node, func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "clients"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(f.clients.Fd())}
		return netlink.LinkAdd(veth)
	})
	f.do(f.clients, func() error { return configure("eth0", "192.168.7.2/24", "192.168.7.1") })
	// There is nothing that way, which no packet gets to know.
	f.do(f.node, func() error { return configure("clients", "192.168.7.1/24", "192.168.7.3") })
	f.do(f.node, func() error { return sysctl("net/ipv4/ip_forward", "1") })
	f.do(f.node, func() error { return sysctl("net/ipv4/conf/all/send_redirects", "0") })
	f.do(f.node, func() error { return sysctl("net/ipv4/conf/clients/send_redirects", "0") })
	tool(t, f.node, counting, "-f", "-")
	return f
}

func (f *flood) do(ns *netns.Namespace, fn func() error) {
	f.Helper()
	if err := ns.Do(fn); err != nil {
		f.Fatal(err)
	}
}

func configure(device, address, gateway string) error {
	l, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(l, addr); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: netip.MustParseAddr(gateway).AsSlice()})
}

// busyNeighbour puts destination NAT of someone else in front of what is there.
func (f *flood) busyNeighbour() {
	f.Helper()
	rules := strings.Repeat("ip daddr 203.0.113.1 udp dport 9 dnat to 203.0.113.2\n", 100)
	tool(f.T, f.node, fmt.Sprintf(`
table ip neighbour
delete table ip neighbour
table ip neighbour {
	chain prerouting {
		type nat hook prerouting priority -100
		%s
	}
}`, rules), "-f", "-")
}

// during sends connections while fn runs, and says how many there were and how
// many were lost on the node.
func (f *flood) during(fn func()) (arrived, lost int) {
	f.Helper()
	var done atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		if err := f.clients.Do(func() error { return send(&done) }); err != nil {
			f.Error(err)
		}
	})
	fn()
	done.Store(true)
	running.Wait()
	for {
		arrived, untranslated, left := f.counter("arrived"), f.counter("untranslated"), f.counter("left")
		if arrived > 0 && arrived == f.counter("arrived") {
			f.Logf("%d connections, %d of them not translated, %d lost in other ways", arrived, untranslated, arrived-untranslated-left)
			return arrived, arrived - left
		}
		time.Sleep(10 * time.Millisecond) // some are on their way
	}
}

var packets = regexp.MustCompile(`packets (\d+)`)

func (f *flood) counter(name string) int {
	f.Helper()
	n, err := strconv.Atoi(packets.FindStringSubmatch(tool(f.T, f.node, "", "list", "counter", "ip", "counting", name))[1])
	if err != nil {
		f.Fatal(err)
	}
	return n
}

// send sends UDP datagrams from one port after the other.
func send(done *atomic.Bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	packet := []byte{
		0x45, 0, 0, 28, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0, 192, 168, 7, 2, 10, 200, 0, 1,
		0, 0, 0, 80, 0, 8, 0, 0,
	}
	to := &unix.SockaddrInet4{Addr: [4]byte{10, 200, 0, 1}}
	for port := uint16(1); !done.Load(); port++ {
		binary.BigEndian.PutUint16(packet[20:], max(port, 1))
		if err := unix.Sendto(fd, packet, 0, to); err != nil && err != unix.ENOBUFS {
			return err
		}
	}
	return nil
}

func sysctl(name, value string) error { return os.WriteFile("/proc/sys/"+name, []byte(value), 0) }
