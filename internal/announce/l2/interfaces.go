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

package l2

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Interface is one to answer on.
type Interface struct {
	Index     int
	Name      string
	mac       mac
	linkLocal netip.Addr
}

// Interfaces are the Ethernet interfaces of the calling thread's namespace that are
// up and have one of the names, or, without names, one of the addresses.
func Interfaces(names []string, addrs []netip.Addr) ([]Interface, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	var chosen []Interface
	for _, link := range list {
		if link.Flags&net.FlagUp == 0 || link.Flags&net.FlagLoopback != 0 || len(link.HardwareAddr) != len(mac{}) {
			continue
		}
		has, err := addressesOf(link)
		if err != nil {
			continue // gone meanwhile
		}
		wanted := slices.Contains(names, link.Name)
		if len(names) == 0 {
			wanted = slices.ContainsFunc(has, func(a netip.Addr) bool { return slices.Contains(addrs, a) })
		}
		if !wanted {
			continue
		}
		i := Interface{Index: link.Index, Name: link.Name, mac: mac(link.HardwareAddr)}
		for _, a := range has {
			if a.Is6() && a.IsLinkLocalUnicast() {
				i.linkLocal = a
			}
		}
		chosen = append(chosen, i)
	}
	return chosen, nil
}

// LocalAddresses are those of all interfaces of the calling thread's namespace.
func LocalAddresses() (map[netip.Addr]struct{}, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("listing addresses: %w", err)
	}
	local := map[netip.Addr]struct{}{}
	for _, a := range list {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			local[prefix.Addr().Unmap()] = struct{}{}
		}
	}
	return local, nil
}

func addressesOf(link net.Interface) ([]netip.Addr, error) {
	list, err := link.Addrs()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, a := range list {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			addrs = append(addrs, prefix.Addr().Unmap())
		}
	}
	return addrs, nil
}
