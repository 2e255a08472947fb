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

package leftovers

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// host is what is not nftables, of the calling thread's network namespace.
type host interface {
	// legacyTables are the families that have a table nat of the iptables that
	// writes no nftables.
	legacyTables() ([]string, error)
	// addresses are those of a device, if it is there, without link-local ones.
	addresses(device string) (all []netip.Addr, there bool, err error)
	removeDevice(name string) error
	sets() ([]string, error)
	removeSet(name string) error
}

type realHost struct{}

func (realHost) legacyTables() ([]string, error) {
	var found []string
	for family, path := range map[string]string{"IPv4": "/proc/thread-self/net/ip_tables_names", "IPv6": "/proc/thread-self/net/ip6_tables_names"} {
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if slices.Contains(strings.Fields(string(text)), "nat") {
			found = append(found, family)
		}
	}
	slices.Sort(found)
	return found, nil
}

func (realHost) addresses(device string) (all []netip.Addr, there bool, err error) {
	link, err := netlink.LinkByName(device)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		return nil, false, nil
	}
	var listed []netlink.Addr
	if err == nil {
		listed, err = netlink.AddrList(link, netlink.FAMILY_ALL)
	}
	if err != nil {
		return nil, false, fmt.Errorf("device %s: %w", device, err)
	}
	for _, a := range listed {
		if ip, ok := netip.AddrFromSlice(a.IP); ok && !ip.Unmap().IsLinkLocalUnicast() {
			all = append(all, ip.Unmap())
		}
	}
	return all, true, nil
}

func (realHost) removeDevice(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("device %s: %w", name, err)
	}
	return nil
}

// sets are none where the kernel has no ipset.
func (realHost) sets() ([]string, error) {
	listed, err := netlink.IpsetListAll()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing ipsets: %w", err)
	}
	var names []string
	for _, set := range listed {
		names = append(names, set.SetName)
	}
	return names, nil
}

func (realHost) removeSet(name string) error {
	if err := netlink.IpsetDestroy(name); err != nil {
		return fmt.Errorf("ipset %s: %w", name, err)
	}
	return nil
}

// inUse tells that rules, or sets of sets, refer to a set.
func inUse(err error) bool { return errors.Is(err, nl.IPSetError(nl.IPSET_ERR_BUSY)) }
