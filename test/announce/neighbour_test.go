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

package announce

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// neighbours are those of a client that asks at once, every tenth of a second, and
// believes what it has heard for an hour: by itself it does not find out within a
// test that an address has moved.
func neighbours() error {
	var errs []error
	for file, value := range map[string]string{"retrans_time_ms": "100", "base_reachable_time_ms": "3600000"} {
		for _, family := range []string{"ipv4", "ipv6"} {
			errs = append(errs, os.WriteFile("/proc/sys/net/"+family+"/neigh/eth0/"+file, []byte(value), 0))
		}
	}
	return errors.Join(errs...)
}

// forget makes the machine outside ask anew who has an address.
func (b *bed) forget(addr netip.Addr) error {
	return b.outside.Do(func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		err = netlink.NeighDel(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: addr.AsSlice()})
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		return err
	})
}

// neighbour is where the machine outside believes an address to be, and whether it
// is sure of it; nobody is asked.
func (b *bed) neighbour(addr netip.Addr) (at net.HardwareAddr, sure bool) {
	b.Helper()
	family := netlink.FAMILY_V4
	if addr.Is6() {
		family = netlink.FAMILY_V6
	}
	b.in(b.outside, func() error {
		list, err := netlink.NeighList(0, family)
		i := slices.IndexFunc(list, func(n netlink.Neigh) bool { return slices.Equal(n.IP, net.IP(addr.AsSlice())) })
		if err == nil && i >= 0 {
			at, sure = list[i].HardwareAddr, list[i].State == netlink.NUD_REACHABLE
		}
		return err
	})
	return at, sure
}

// learn makes the machine outside sure that the VIPs are at a node.
func (b *bed) learn(at *node) {
	b.Helper()
	for _, vip := range vips {
		if err := b.forget(vip); err != nil {
			b.Fatal(err)
		}
		b.await("the client knows where "+vip.String()+" is", func() bool {
			_, _, _, err := b.connect(vip, time.Second)
			mac, sure := b.neighbour(vip)
			return err == nil && sure && slices.Equal(mac, at.mac)
		})
	}
}

// told waits until the machine outside, which asks nobody, sends to the nodes that
// the VIPs have moved to from another.
func (b *bed) told(from *node) {
	b.Helper()
	b.moved(from)
	for _, vip := range vips {
		b.await("the client is told where "+vip.String()+" is now", func() bool {
			n := b.owner(vip)
			mac, _ := b.neighbour(vip)
			return n != nil && n != from && slices.Equal(mac, n.mac)
		})
	}
}
