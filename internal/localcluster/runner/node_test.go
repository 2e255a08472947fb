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

package runner_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"switchyard.dev/switchyard/internal/localcluster/runner"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

// patience is how long a test waits for what must happen; it is not asserted.
const patience = 4 * time.Minute

var subnets atomic.Int32

// node is one with a runner, linked to the namespace of this test.
type node struct {
	t      *testing.T
	client kubernetes.Interface
	config runner.Config
	stop   func()
}

// newNode starts one; change may alter its configuration first.
func newNode(t *testing.T, change ...func(*runner.Config)) *node {
	t.Helper()
	prereq.Root(t)
	rest := apiServer(t)
	n := int(subnets.Add(1))
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	ips := []netip.Addr{netip.MustParseAddr(fmt.Sprintf("172.30.%d.2", n)), netip.MustParseAddr(fmt.Sprintf("fd00:30:%d::2", n))}
	link(t, ns, n)
	pair, err := shared.ca.Server("node", nil, ips)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := pair.TLS()
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	made := &node{t: t, config: runner.Config{
		NodeName: fmt.Sprintf("node-%d", n), Labels: map[string]string{corev1.LabelTopologyZone: "zone-a"},
		NodeIPs:      ips,
		PodCIDRs:     []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.244.%d.0/24", n)), netip.MustParsePrefix(fmt.Sprintf("fd00:10:244:%d::/64", n))},
		REST:         rest,
		Namespace:    ns,
		NamespaceDir: filepath.Join(state, "netns"), StateDir: filepath.Join(state, "node"),
		ClusterDomain: "cluster.local", DNSAddrs: []netip.Addr{netip.MustParseAddr("10.96.0.10")},
		ServingCert: certificate, ClientCAs: shared.ca.Pool(),
		Log: testr.NewWithInterface(t, testr.Options{Verbosity: 2}),
	}}
	for _, f := range change {
		f(&made.config)
	}
	if made.client, err = kubernetes.NewForConfig(rest); err != nil {
		t.Fatal(err)
	}
	made.start()
	t.Cleanup(func() { made.stop() })
	return made
}

// link joins the node's namespace with the one that the API server is in.
func link(t *testing.T, ns *netns.Namespace, n int) {
	t.Helper()
	name := fmt.Sprintf("node%d", n)
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "uplink", PeerNamespace: netlink.NsFd(ns.Fd())}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(veth) })
	address(t, name, fmt.Sprintf("172.30.%d.1/24", n), fmt.Sprintf("fd00:30:%d::1/64", n))
	err := ns.Do(func() error {
		address(t, "lo")
		address(t, "uplink", fmt.Sprintf("172.30.%d.2/24", n), fmt.Sprintf("fd00:30:%d::2/64", n))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func address(t *testing.T, name string, prefixes ...string) {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range prefixes {
		addr, err := netlink.ParseAddr(prefix)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(prefix, "::") {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			t.Fatal(err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
}

// start runs the runner until stop.
func (n *node) start() {
	n.t.Helper()
	ctx, cancel := context.WithCancel(n.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runner.New(n.config).Run(ctx) }()
	n.stop = func() {
		n.stop = func() {}
		cancel()
		if err := <-ended; err != nil {
			n.t.Errorf("runner ended with: %v", err)
		}
	}
	n.eventually("the node to be ready", func() (bool, string) {
		node, err := n.client.CoreV1().Nodes().Get(n.t.Context(), n.config.NodeName, metav1.GetOptions{})
		return err == nil && len(node.Status.Conditions) >= 4, fmt.Sprint(err)
	})
}

func (n *node) eventually(what string, holds func() (bool, string)) {
	n.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ok, state := holds()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("waited in vain for %s; last seen: %s", what, state)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// pod makes one on the node; change may alter it first.
func (n *node) pod(name string, change func(*corev1.Pod)) *corev1.Pod {
	n.t.Helper()
	grace := int64(1)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%s", name, n.config.NodeName), Namespace: "default", Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			NodeName: n.config.NodeName, TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{Name: "main", Image: "example.com/any", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 80}}}},
		},
	}
	if change != nil {
		change(pod)
	}
	made, err := n.client.CoreV1().Pods(pod.Namespace).Create(n.t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	return made
}

func (n *node) get(pod *corev1.Pod) (*corev1.Pod, bool) {
	n.t.Helper()
	got, err := n.client.CoreV1().Pods(pod.Namespace).Get(context.Background(), pod.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, false
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return got, true
}

// until waits until the Pod is as the function says.
func (n *node) until(pod *corev1.Pod, what string, is func(*corev1.Pod) bool) *corev1.Pod {
	n.t.Helper()
	var got *corev1.Pod
	n.eventually(pod.Name+" to be "+what, func() (bool, string) {
		var ok bool
		if got, ok = n.get(pod); !ok {
			return false, "no such Pod"
		}
		return is(got), fmt.Sprintf("%+v", got.Status)
	})
	return got
}

func (n *node) untilReady(pod *corev1.Pod) *corev1.Pod {
	n.t.Helper()
	return n.until(pod, "ready", ready)
}

func (n *node) untilGone(pod *corev1.Pod) {
	n.t.Helper()
	n.eventually(pod.Name+" to be gone", func() (bool, string) {
		got, ok := n.get(pod)
		return !ok || got.UID != pod.UID, "it is there"
	})
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// netnsOf is a Pod's namespace.
func (n *node) netnsOf(pod *corev1.Pod) *netns.Namespace {
	n.t.Helper()
	ns, err := netns.Open(filepath.Join(n.config.NamespaceDir, pod.Namespace+"_"+pod.Name))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = ns.Close() })
	return ns
}

// get fetches a URL from inside a namespace.
func get(ns *netns.Namespace, url string) (string, int, error) {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
			err = ns.Do(func() error {
				conn, err = new(net.Dialer).DialContext(ctx, network, address)
				return err
			})
			return conn, err
		},
	}}
	response, err := client.Get(url)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return string(body), response.StatusCode, err
}

func programPod(command ...string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Annotations = map[string]string{runner.RunLocal: "true"}
		pod.Spec.Containers[0].Command = command
		pod.Spec.Containers[0].Ports = nil
	}
}

// httpProbe fails at the first answer that says so, and not on a machine that is late.
func httpProbe(path string) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("web")}},
		PeriodSeconds: 1, FailureThreshold: 1, TimeoutSeconds: 60,
	}
}
