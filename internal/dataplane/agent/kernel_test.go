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
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
	"switchyard.dev/switchyard/test/testenv"
)

// The whole way, with nothing in it that is not real: objects in an API
// server, the kernel's tables in a network namespace, and packets.
func TestFromTheAPIServerToAPacket(t *testing.T) {
	prereq.Root(t)
	client := startServer(t)
	wire := newWire(t)
	stop := wire.startAgent(t, client)
	ctx := t.Context()

	services, slices := client.CoreV1().Services("default"), client.DiscoveryV1().EndpointSlices("default")
	web := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{
			ClusterIP:      "10.96.0.10",
			ClusterIPs:     []string{"10.96.0.10", "fd00:10:96::10"},
			IPFamilyPolicy: new(corev1.IPFamilyPolicyRequireDualStack),
			Ports:          []corev1.ServicePort{{Name: "tcp", Port: 80}, {Name: "udp", Port: 80, Protocol: corev1.ProtocolUDP}},
		},
	}
	web = must(services.Create(ctx, web, metav1.CreateOptions{}))(t)
	const v4, v6 = "10.96.0.10:80", "[fd00:10:96::10]:80"
	wire.eventually(t, "tcp", v4, "refused")

	slice := must(slices.Create(ctx, webSlice("web-4", discoveryv1.AddressTypeIPv4, "10.244.0.2"), metav1.CreateOptions{}))(t)
	must(slices.Create(ctx, webSlice("web-6", discoveryv1.AddressTypeIPv6, "fd00:10:244::2"), metav1.CreateOptions{}))(t)
	wire.eventually(t, "tcp", v4, "10.244.0.2")
	wire.eventually(t, "udp", v4, "10.244.0.2")
	wire.eventually(t, "tcp", v6, "fd00:10:244::2")

	slice.Endpoints[0].Addresses = []string{"10.244.0.3"}
	slice = must(slices.Update(ctx, slice, metav1.UpdateOptions{}))(t)
	wire.eventually(t, "tcp", v4, "10.244.0.3")

	// A UDP client that never falls silent follows its endpoint all the same.
	steady := wire.dial(t, "udp", v4)
	if got := ask(steady, patience); got != "10.244.0.3" {
		t.Fatalf("the steady UDP client is answered by %q", got)
	}
	slice.Endpoints[0].Addresses = []string{"10.244.0.2"}
	slice = must(slices.Update(ctx, slice, metav1.UpdateOptions{}))(t)
	await(t, "the steady UDP client follows", func() bool { return ask(steady, moment) == "10.244.0.2" })

	// A firewall that flushes everything does no lasting harm.
	wire.in(t, wire.node, func() error { return nft.Cleanup(ctx, []model.Family{model.IPv4}) })
	wire.eventually(t, "tcp", v4, "10.244.0.2")

	stop()
	if got := wire.ask("tcp", v4, patience); got != "10.244.0.2" {
		t.Errorf("with the agent away the Service is answered by %q", got)
	}
	slice.Endpoints[0].Addresses = []string{"10.244.0.3"}
	must(slices.Update(ctx, slice, metav1.UpdateOptions{}))(t)
	wire.startAgent(t, client)
	wire.eventually(t, "tcp", v4, "10.244.0.3")

	web.Spec.Ports[0].Port = 81
	must(services.Update(ctx, web, metav1.UpdateOptions{}))(t)
	wire.eventually(t, "tcp", "10.96.0.10:81", "10.244.0.3")
}

func startServer(t *testing.T) kubernetes.Interface {
	t.Helper()
	env, err := testenv.New()
	if err != nil {
		t.Fatal(err)
	}
	env.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", "10.96.0.0/16,fd00:10:96::/112")
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Stop() })
	return must(kubernetes.NewForConfig(config))(t)
}

func webSlice(name string, addressType discoveryv1.AddressType, address string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		AddressType: addressType,
		Ports: []discoveryv1.EndpointPort{
			{Name: new("tcp"), Port: new(int32(8080))},
			{Name: new("udp"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolUDP)},
		},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{address}}},
	}
}

// wire is a node and the pods behind it: two namespaces and a veth pair.
type wire struct{ node, pods *netns.Namespace }

func newWire(t *testing.T) wire {
	t.Helper()
	w := wire{must(netns.New())(t), must(netns.New())(t)}
	t.Cleanup(func() { _, _ = w.node.Close(), w.pods.Close() })
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "pods"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(w.pods.Fd())}
	w.in(t, w.node, func() error { return netlink.LinkAdd(veth) })
	w.in(t, w.node, func() error { return addresses("pods", "10.244.0.1/24", "fd00:10:244::1/64") })
	w.in(t, w.pods, func() error {
		return addresses("eth0", "10.244.0.2/24", "10.244.0.3/24", "fd00:10:244::2/64")
	})
	// Service addresses need some route before they are translated.
	w.in(t, w.node, func() error { return errors.Join(defaultRoute("10.244.0.254"), defaultRoute("fd00:10:244::fe")) })
	for _, address := range []string{"10.244.0.2:8080", "10.244.0.3:8080", "[fd00:10:244::2]:8080"} {
		w.serve(t, address)
	}
	return w
}

func (w wire) in(t *testing.T, ns *netns.Namespace, fn func() error) {
	t.Helper()
	if err := ns.Do(fn); err != nil {
		t.Fatal(err)
	}
}

func addresses(device string, cidrs ...string) error {
	for _, name := range []string{"lo", device} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
		for _, cidr := range cidrs {
			if name == "lo" {
				continue
			}
			address, err := netlink.ParseAddr(cidr)
			if err != nil {
				return err
			}
			address.Flags = syscall.IFA_F_NODAD
			if err := netlink.AddrAdd(link, address); err != nil {
				return err
			}
		}
	}
	return nil
}

func defaultRoute(via string) error {
	link, err := netlink.LinkByName("pods")
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(via)})
}

// serve answers every question on address with the address.
func (w wire) serve(t *testing.T, address string) {
	t.Helper()
	ip := netip.MustParseAddrPort(address).Addr().String() + "\n"
	w.in(t, w.pods, func() error {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				// Closing on an unread question would reset the connection.
				_, _ = conn.Read(make([]byte, 64))
				_, _ = fmt.Fprint(conn, ip)
				_ = conn.Close()
			}
		}()
		packets, err := net.ListenPacket("udp", address)
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = packets.Close() })
		go func() {
			for buffer := make([]byte, 64); ; {
				_, from, err := packets.ReadFrom(buffer)
				if err != nil {
					return
				}
				_, _ = packets.WriteTo([]byte(ip), from)
			}
		}()
		return nil
	})
}

// startAgent runs an agent for the node until stop is called.
func (w wire) startAgent(t *testing.T, client kubernetes.Interface) (stop func()) {
	t.Helper()
	config := Config{
		NodeName: "n1", Client: client, Recorder: record.NewFakeRecorder(100), Announcer: announcer{record.NewFakeRecorder(100)},
		Tables:  map[model.Family]Table{},
		Node:    NodeOptions{NodePorts: NodePortAddresses{Primary: true}},
		State:   health.NewState(health.Patience, model.IPv4, model.IPv6),
		Metrics: health.NewMetrics("test"),
	}
	w.in(t, w.node, func() error {
		var tables []*nft.Table
		for _, family := range []model.Family{model.IPv4, model.IPv6} {
			table, err := nft.Open(family, nft.Options{})
			if err != nil {
				return err
			}
			config.Tables[family] = table
			tables = append(tables, table)
		}
		watcher, err := nft.Watch(tables...)
		if err != nil {
			return err
		}
		config.Watcher = watcher
		cleaner, err := conntrack.NewCleaner()
		if err != nil {
			return err
		}
		sweeper := conntrack.NewSweeper(cleaner, nil)
		go sweeper.Run(t.Context())
		config.Sweepers = map[model.Family]Sweeper{model.IPv4: sweeper, model.IPv6: sweeper}
		return nil
	})
	config.Checks = health.NewServiceChecks(config.State)
	agent := New(config)
	agent.localAddresses = func() ([]netip.Addr, error) { return nil, nil } // this process is not in the namespace
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx) }()
	ended := false
	stop = func() {
		if cancel(); !ended {
			ended = true
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	await(t, "the first sync", config.State.Ready)
	return stop
}

func (w wire) eventually(t *testing.T, network, address, want string) {
	t.Helper()
	await(t, fmt.Sprintf("%s %s is answered by %s", network, address, want), func() bool { return w.ask(network, address, moment) == want })
}

const (
	// moment is enough for one attempt of many, patience for the only one.
	moment   = time.Second
	patience = 3 * time.Minute
)

// ask says who answers a new client of the node, or "refused" or another error.
func (w wire) ask(network, address string, limit time.Duration) string {
	var conn net.Conn
	err := w.node.Do(func() (err error) {
		conn, err = net.DialTimeout(network, address, limit)
		return err
	})
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "refused"
	}
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.Close() }()
	return ask(conn, limit)
}

func (w wire) dial(t *testing.T, network, address string) (conn net.Conn) {
	t.Helper()
	w.in(t, w.node, func() (err error) {
		conn, err = net.Dial(network, address)
		return err
	})
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func ask(conn net.Conn, limit time.Duration) string {
	_ = conn.SetDeadline(time.Now().Add(limit))
	if _, err := fmt.Fprintln(conn, "who"); err != nil {
		return err.Error()
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line)
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
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
