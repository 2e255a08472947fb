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

package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/netns"
)

// linkPrefix begins the name of the node's end of every Pod's link.
const linkPrefix = "sy"

// linkName is 13 characters long: 15 is the kernel's limit.
func linkName(uid types.UID) string {
	sum := sha256.Sum256([]byte(uid))
	return linkPrefix + hex.EncodeToString(sum[:])[:11]
}

// prepareNode lets the node forward, and removes links of Pods that an earlier
// runner did not get to.
func prepareNode(node *netns.Namespace) error {
	return node.Do(func() error {
		for name, value := range map[string]string{
			"ipv4/ip_forward":                  "1",
			"ipv6/conf/all/forwarding":         "1",
			"ipv4/conf/all/rp_filter":          "0", // the kernel uses the larger of all and the link's
			"ipv4/conf/all/send_redirects":     "0", // hairpin goes out where it came in
			"ipv4/conf/default/rp_filter":      "0",
			"ipv4/conf/default/send_redirects": "0",
		} {
			if err := setSysctl(name, value); err != nil {
				return err
			}
		}
		links, err := netlink.LinkList()
		if err != nil {
			return fmt.Errorf("listing the node's links: %w", err)
		}
		for _, link := range links {
			if link.Type() == "veth" && strings.HasPrefix(link.Attrs().Name, linkPrefix) && len(link.Attrs().Name) == len(linkName("")) {
				_ = netlink.LinkDel(link)
			}
		}
		return nil
	})
}

// connect links a Pod's namespace with the node's: a veth pair without a
// bridge. Each Pod has single addresses (/32, /128), the gateway answers on
// every link, and the node has one route per Pod; so all traffic between Pods,
// a Pod's to itself through a Service too, passes the node's hooks.
func connect(node, pod *netns.Namespace, name string, ips, gateways []netip.Addr) error {
	steps := []struct {
		where *netns.Namespace
		what  func() error
	}{
		{pod, func() error { return createLink(name, node) }},
		{node, func() error { return raise(name) }},
		{pod, func() error { return configurePod(ips, gateways) }},
		{node, func() error { return configureNode(name, ips, gateways) }},
	}
	for _, step := range steps {
		if err := step.where.Do(step.what); err != nil {
			return fmt.Errorf("connecting the Pod to its node: %w", err)
		}
	}
	return nil
}

func createLink(name string, node *netns.Namespace) error {
	for name, value := range map[string]string{
		"ipv6/conf/all/disable_ipv6":     "0",
		"ipv6/conf/default/disable_ipv6": "0",
		"ipv6/conf/default/accept_dad":   "0", // addresses are ours alone: use them at once
		"ipv6/conf/default/accept_ra":    "0",
	} {
		if err := setSysctl(name, value); err != nil {
			return err
		}
	}
	if err := raise("lo"); err != nil {
		return err
	}
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: "eth0"},
		PeerName:      name,
		PeerNamespace: netlink.NsFd(node.Fd()),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("making link %s: %w", name, err)
	}
	return nil
}

func configurePod(ips, gateways []netip.Addr) error {
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	for i, ip := range ips {
		if err := addAddress(link, ip); err != nil {
			return err
		}
		if err := addRoute(&netlink.Route{LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: single(gateways[i])}); err != nil {
			return err
		}
		if err := addRoute(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: everywhere(ip), Gw: gateways[i].AsSlice()}); err != nil {
			return err
		}
	}
	return nil
}

func configureNode(name string, ips, gateways []netip.Addr) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	for i, ip := range ips {
		if err := addAddress(link, gateways[i]); err != nil {
			return err
		}
		if err := addRoute(&netlink.Route{LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: single(ip)}); err != nil {
			return err
		}
	}
	return nil
}

func raise(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding link %s: %w", name, err)
	}
	if name != "lo" {
		for _, setting := range []string{"ipv6/conf/" + name + "/accept_dad", "ipv6/conf/" + name + "/accept_ra", "ipv4/conf/" + name + "/rp_filter"} {
			if err := setSysctl(setting, "0"); err != nil {
				return err
			}
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("raising link %s: %w", name, err)
	}
	return nil
}

// disconnect is idempotent. The Pod's end goes with the node's.
func disconnect(node *netns.Namespace, name string) error {
	return node.Do(func() error {
		link, err := netlink.LinkByName(name)
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			return nil
		}
		if err != nil {
			return err
		}
		return netlink.LinkDel(link)
	})
}

func addAddress(link netlink.Link, ip netip.Addr) error {
	addr := &netlink.Addr{IPNet: single(ip)}
	if ip.Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := netlink.AddrAdd(link, addr); err != nil {
		return fmt.Errorf("adding address %s to %s: %w", ip, link.Attrs().Name, err)
	}
	return nil
}

func addRoute(route *netlink.Route) error {
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("adding route to %s: %w", route.Dst, err)
	}
	return nil
}

func single(ip netip.Addr) *net.IPNet {
	return &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(ip.BitLen(), ip.BitLen())}
}

func everywhere(like netip.Addr) *net.IPNet {
	return &net.IPNet{IP: make(net.IP, like.BitLen()/8), Mask: net.CIDRMask(0, like.BitLen())}
}

// setSysctls sets what the Pod's security context asks for, in its own network.
func setSysctls(ns *netns.Namespace, pod *corev1.Pod) error {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	return ns.Do(func() error {
		for _, sysctl := range pod.Spec.SecurityContext.Sysctls {
			name, ok := strings.CutPrefix(strings.ReplaceAll(sysctl.Name, ".", "/"), "net/")
			if !ok {
				return fmt.Errorf("sysctl %s: the local cluster sets those of the network only", sysctl.Name)
			}
			if err := setSysctl(name, sysctl.Value); err != nil {
				return err
			}
		}
		return nil
	})
}

// setSysctl writes a file under /proc/sys/net, which shows the namespace of
// the calling thread.
func setSysctl(name, value string) error {
	if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
		return fmt.Errorf("setting sysctl net/%s to %s: %w", name, value, err)
	}
	return nil
}
