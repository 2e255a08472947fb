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
	"fmt"
	"net"
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
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/test/testenv/process"
)

// system is where the claims are.
const system = "switchyard-system"

// bed is three nodes and a machine outside on one bridge:
//
//	outside --- bridge --- node-1 .. node-3, each with one endpoint and a gate to the API server
type bed struct {
	*testing.T
	client          kubernetes.Interface
	config          *rest.Config
	bridge, outside *netns.Namespace
	nodes           []*node
}

type node struct {
	*bed
	name  string
	ns    *netns.Namespace
	gate  *gate
	agent *process.Process
	mac   net.HardwareAddr
	// ips are its addresses, endpoints those that answer with its name.
	ips, endpoints [2]netip.Addr
}

// The addresses outside, and those of the Service.
var (
	outsideIPs = [2]netip.Addr{netip.MustParseAddr("192.168.70.1"), netip.MustParseAddr("fd70::1")}
	vips       = [2]netip.Addr{netip.MustParseAddr("192.168.70.200"), netip.MustParseAddr("fd70::200")}
)

const endpointPort = 9376

var environment *envtest.Environment

func TestMain(m *testing.M) {
	code := m.Run()
	if environment != nil {
		if err := environment.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

func newBed(t *testing.T) *bed {
	t.Helper()
	prereq.Root(t)
	if environment == nil {
		env := must(testenv.New())(t)
		env.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", "10.96.0.0/16,fd00:10:96::/112")
		if err := installRights(t.Context(), must(env.Start())(t)); err != nil {
			t.Fatal(err)
		}
		environment = env
	}
	config := rest.CopyConfig(environment.Config)
	config.QPS = -1
	b := &bed{T: t, config: config, client: must(kubernetes.NewForConfig(config))(t)}
	b.bridge, b.outside = prereq.Namespace(t), prereq.Namespace(t)
	b.in(b.bridge, withoutDAD)
	b.in(b.bridge, func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
		return errors.Join(netlink.LinkAdd(bridge), netlink.LinkSetUp(bridge))
	})
	b.plug(b.outside, "outside", outsideIPs)
	b.in(b.outside, neighbours)
	for i := range 3 {
		b.newNode(i + 1)
	}
	return b
}

func (b *bed) newNode(i int) {
	b.Helper()
	n := &node{
		bed: b, name: fmt.Sprintf("node-%d", i), ns: prereq.Namespace(b),
		ips:       [2]netip.Addr{netip.AddrFrom4([4]byte{192, 168, 70, byte(10 + i)}), netip.MustParseAddr(fmt.Sprintf("fd70::1%d", i))},
		endpoints: [2]netip.Addr{netip.AddrFrom4([4]byte{10, 244, byte(i), 10}), netip.MustParseAddr(fmt.Sprintf("fd00:244:%d::10", i))},
	}
	b.in(n.ns, forward)
	b.plug(n.ns, n.name, n.ips)
	b.in(n.ns, func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		n.mac = link.Attrs().HardwareAddr
		return addresses("lo", n.endpoints, [2]int{32, 128})
	})
	for _, other := range b.nodes {
		b.in(n.ns, func() error { return routes(other) })
		b.in(other.ns, func() error { return routes(n) })
	}
	for _, at := range n.endpoints {
		b.serve(n.ns, n.name, netip.AddrPortFrom(at, endpointPort))
	}
	b.nodes = append(b.nodes, n)
	nodes := b.client.CoreV1().Nodes()
	object := must(nodes.Create(b.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.name}}, metav1.CreateOptions{}))(b.T)
	b.Cleanup(func() { _ = nodes.Delete(b.late(), n.name, metav1.DeleteOptions{}) })
	for _, ip := range n.ips {
		object.Status.Addresses = append(object.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip.String()})
	}
	object.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	must(nodes.UpdateStatus(b.Context(), object, metav1.UpdateOptions{}))(b.T)
	n.gate = newGate(n, b.config.Host)
	n.start()
}

// plug connects a namespace to the bridge, by its eth0.
func (b *bed) plug(ns *netns.Namespace, name string, ips [2]netip.Addr) {
	b.Helper()
	b.in(ns, withoutDAD)
	b.in(b.bridge, func() error {
		bridge, err := netlink.LinkByName("br0")
		if err != nil {
			return err
		}
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name, MasterIndex: bridge.Attrs().Index}, PeerName: "eth0", PeerNamespace: netlink.NsFd(ns.Fd())}
		return errors.Join(netlink.LinkAdd(veth), netlink.LinkSetUp(veth))
	})
	b.in(ns, func() error { return addresses("eth0", ips, [2]int{24, 64}) })
}

// withoutDAD has IPv6 addresses of interfaces to come work at once.
func withoutDAD() error {
	return os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0)
}

func addresses(device string, ips [2]netip.Addr, bits [2]int) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	for i, ip := range ips {
		addr, err := netlink.ParseAddr(netip.PrefixFrom(ip, bits[i]).String())
		if err != nil {
			return err
		}
		addr.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("adding %s: %w", ip, err)
		}
	}
	return netlink.LinkSetUp(link)
}

// routes leads to another node's endpoints.
func routes(to *node) error {
	var errs []error
	for i, at := range to.endpoints {
		errs = append(errs, netlink.RouteAdd(&netlink.Route{
			Dst: &net.IPNet{IP: at.AsSlice(), Mask: net.CIDRMask(at.BitLen(), at.BitLen())}, Gw: to.ips[i].AsSlice(),
		}))
	}
	return errors.Join(errs...)
}

func forward() error {
	var errs []error
	for file, value := range map[string]string{
		"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1",
		"ipv4/conf/all/send_redirects": "0", "ipv4/conf/default/send_redirects": "0",
	} {
		errs = append(errs, os.WriteFile("/proc/sys/net/"+file, []byte(value), 0))
	}
	return errors.Join(errs...)
}

func (b *bed) in(ns *netns.Namespace, fn func() error) {
	b.Helper()
	if err := ns.Do(fn); err != nil {
		b.Fatal(err)
	}
}

// patience bounds every wait for what has to happen.
const patience = 3 * time.Minute

// await polls for what happens in other processes.
func (b *bed) await(what string, condition func() bool) {
	b.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
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
