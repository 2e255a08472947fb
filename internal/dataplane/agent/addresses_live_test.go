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
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/test/prereq"
)

// With the kernel's own notifications and no look of ours at anything else.
func TestAddressesOfTheNodeAreFollowedAsTheyComeAndGo(t *testing.T) {
	prereq.Root(t)
	ns := prereq.Namespace(t)
	in := func(fn func() error) {
		t.Helper()
		if err := ns.Do(fn); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := newWorld()
	w.localAddresses = localAddresses
	w.Node = NodeOptions{NodePorts: NodePortAddresses{CIDRs: anything}}
	in(w.readAddresses)
	w.begin(ctx)
	running := make(chan struct{}, 3)
	for _, lane := range w.lanes {
		go func() {
			lane.run(ctx)
			running <- struct{}{}
		}()
	}
	go func() {
		_ = ns.Do(func() error {
			watchAddresses(ctx, func() { w.refreshAddresses(ctx) })
			return nil
		})
		running <- struct{}{}
	}()
	t.Cleanup(func() {
		cancel()
		for range cap(running) {
			<-running
		}
	})
	answers := func(family model.Family, addr netip.Addr) bool {
		table := map[model.Family]*fakeTable{model.IPv4: w.v4, model.IPv6: w.v6}[family]
		table.mu.Lock()
		defer table.mu.Unlock()
		return slices.Contains(table.node.NodePortAddrs, addr)
	}
	var link netlink.Link
	in(func() (err error) {
		link, err = netlink.LinkByName("lo")
		return err
	})
	for family, text := range map[model.Family]string{model.IPv4: "203.0.113.9", model.IPv6: "2001:db8::9"} {
		addr := netip.MustParseAddr(text)
		address := &netlink.Addr{IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(addr.BitLen(), addr.BitLen())}}
		in(func() error { return netlink.AddrAdd(link, address) })
		await(t, "NodePorts answer on "+text, func() bool { return answers(family, addr) })
		in(func() error { return netlink.AddrDel(link, address) })
		await(t, "they answer there no more", func() bool { return !answers(family, addr) })
	}
}
