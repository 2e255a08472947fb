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

package chaos

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
	"switchyard.dev/switchyard/test/testenv/process"
)

// bed is a node with its real agent, between real clients, real servers and a
// real API server:
//
//	clients   pods           both are on the node; pods holds all endpoints
//	      \   /
//	      node --- gate      the agent's way to the API server
//	        |
//	     outside             clients of NodePorts; it drops what is not for it
type bed struct {
	*testing.T
	client                       kubernetes.Interface
	node, pods, clients, outside *netns.Namespace
	gate                         *gate
	kubeconfig                   string
	services                     []*service
	agent                        *process.Process
}

const nodeName = "chaos"

// link is one end of a veth pair of the node, with addresses of both families.
type link struct {
	name         string
	peer         *netns.Namespace
	here, there  []string
	defaultRoute bool
}

func newBed(t *testing.T) *bed {
	t.Helper()
	prereq.Root(t)
	b := &bed{T: t}
	config := apiServer(t)
	b.client = must(kubernetes.NewForConfig(config))(t)
	for _, ns := range []**netns.Namespace{&b.node, &b.pods, &b.clients, &b.outside} {
		*ns = must(netns.New())(t)
		t.Cleanup(func() { _ = (*ns).Close() })
		b.in(*ns, trustAddresses)
	}
	b.in(b.node, forward)
	var endpoints []string
	for _, family := range families {
		for i := range endpointCount {
			endpoints = append(endpoints, family.endpoint(i).String()+family.bits)
		}
	}
	for _, l := range []link{
		{"pods", b.pods, []string{"10.244.0.1/24", "fd00:244::1/64"}, endpoints, false},
		{"clients", b.clients, []string{"10.244.1.1/24", "fd00:244:1::1/64"}, []string{"10.244.1.2/24", "fd00:244:1::2/64"}, false},
		{"uplink", b.outside, []string{"192.168.60.1/24", "fd60::1/64"}, []string{"192.168.60.2/24", "fd60::2/64"}, true},
	} {
		b.connect(l)
	}
	for _, family := range families {
		for i := range endpointCount {
			b.serve(netip.AddrPortFrom(family.endpoint(i), endpointPort))
		}
	}
	b.gate = newGate(b, config.Host)
	b.kubeconfig = writeKubeconfig(t, config, b.gate.url())
	b.registerNode(config)
	for _, name := range []string{"web", "sticky"} {
		b.services = append(b.services, b.newService(name))
	}
	return b
}

func (b *bed) in(ns *netns.Namespace, fn func() error) {
	b.Helper()
	if err := ns.Do(fn); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) connect(l link) {
	b.Helper()
	b.in(b.node, func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: l.name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(l.peer.Fd())}
		return netlink.LinkAdd(veth)
	})
	b.in(b.node, func() error { return addresses(l.name, l.here) })
	b.in(l.peer, func() error { return errors.Join(addresses("lo", nil), addresses("eth0", l.there)) })
	for i := range families {
		here, there := netip.MustParsePrefix(l.here[i]).Addr(), netip.MustParsePrefix(l.there[i*(len(l.there)/2)]).Addr()
		b.in(l.peer, func() error { return defaultRoute("eth0", here) })
		if l.defaultRoute {
			b.in(b.node, func() error { return errors.Join(addresses("lo", nil), defaultRoute(l.name, there)) })
		}
	}
}

func addresses(device string, cidrs []string) error {
	l, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	for _, cidr := range cidrs {
		addr, err := netlink.ParseAddr(cidr)
		if err != nil {
			return err
		}
		addr.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(l, addr); err != nil {
			return fmt.Errorf("adding %s to %s: %w", cidr, device, err)
		}
	}
	return netlink.LinkSetUp(l)
}

func defaultRoute(device string, via netip.Addr) error {
	l, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: via.AsSlice()})
}

// trustAddresses saves the wait for duplicates of link-local addresses, which
// would hold up the first packets.
func trustAddresses() error {
	return os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0)
}

func forward() error {
	for file, value := range map[string]string{
		"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1",
		"ipv4/conf/all/send_redirects": "0", "ipv4/conf/default/send_redirects": "0",
	} {
		if err := os.WriteFile("/proc/sys/net/"+file, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

func (b *bed) registerNode(config *rest.Config) {
	b.Helper()
	nodes := must(kubernetes.NewForConfig(config))(b.T).CoreV1().Nodes()
	node := must(nodes.Create(b.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}, metav1.CreateOptions{}))(b.T)
	b.Cleanup(func() { _ = nodes.Delete(background, nodeName, metav1.DeleteOptions{}) })
	node.Spec.PodCIDRs = []string{"10.244.0.0/16", "fd00:244::/32"}
	for _, family := range families {
		node.Status.Addresses = append(node.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: family.node.String()})
	}
	must(nodes.UpdateStatus(b.Context(), node, metav1.UpdateOptions{}))(b.T)
}

// await polls for what happens in other processes.
func (b *bed) await(what string, condition func() bool) {
	b.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("waited in vain: %s", what)
		}
	}
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
