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

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"switchyard.dev/switchyard/internal/demo"
	"switchyard.dev/switchyard/internal/localcluster"
	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/localcluster/state"
	"switchyard.dev/switchyard/internal/netns"
)

// TestQueriesStayOnTheirNodeUntilItsServerIsDown has the DNS server of a pod's
// node killed as often as it is started, and then no more.
func TestQueriesStayOnTheirNodeUntilItsServerIsDown(t *testing.T) {
	needCluster(t)
	output(t, "wait", "--for=condition=Ready", "pod/pair", waitFor)
	node := output(t, "get", "pod", "pair", "-o", "jsonpath={.spec.nodeName}")
	local, others := dnsPods(t, node)
	stay := func() error {
		before := asked(t, others)
		for range 5 { // by chance alone, none of 20 queries goes elsewhere once in a million times
			if err := everyWay(t); err != nil {
				return err
			}
		}
		if after := asked(t, others); after != before {
			return fmt.Errorf("other nodes' servers were asked %d times", after-before)
		}
		return nil
	}
	await(t, func() error { return localServer(t, node, true) })
	await(t, stay)

	began := time.Now()
	revive := keepDown(t, local)
	await(t, func() error { return localServer(t, node, false) })
	before := asked(t, others)
	await(t, func() error { return everyWay(t) })
	t.Logf("another node answered within %v", time.Since(began).Round(time.Millisecond))
	if err := localServer(t, node, false); err != nil {
		t.Fatal(err)
	}
	if asked(t, others) == before {
		t.Error("queries were answered, but by no other node's server")
	}
	revive()
	await(t, func() error { return localServer(t, node, true) })
	await(t, stay)
}

// TestADNSServerThatEndsLosesNoQuery deletes the pod of a node's DNS server, as
// an update does, while a pod of that node asks hundreds of questions a second.
func TestADNSServerThatEndsLosesNoQuery(t *testing.T) {
	needCluster(t)
	output(t, "wait", "--for=condition=Ready", "pod/pair", waitFor)
	node := output(t, "get", "pod", "pair", "-o", "jsonpath={.spec.nodeName}")
	await(t, func() error { return localServer(t, node, true) })
	await(t, func() error { return everyWay(t) })
	local, _ := dnsPods(t, node)
	pod, err := localcluster.OfPod(t.Context(), state.Dir(cluster.State()), "demo", "pair")
	if err != nil {
		t.Fatal(err)
	}
	network, err := netns.Open(pod.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = network.Close() }()

	var questions atomic.Int32
	traffic, ctx := errgroup.WithContext(t.Context())
	ctx, stop := context.WithCancel(ctx)
	for _, w := range ways() {
		traffic.Go(func() error {
			pace := time.NewTicker(2 * time.Millisecond)
			defer pace.Stop()
			for ; ctx.Err() == nil; <-pace.C {
				if err := w.ask(network); err != nil {
					return err
				}
				questions.Add(1)
			}
			return nil
		})
	}
	output(t, "delete", "pod", "-n", "kube-system", local)
	await(t, func() error { return localServer(t, node, true) })
	if next, _ := dnsPods(t, node); next == local {
		t.Errorf("pod %s is still there", local)
	}
	stop()
	if err := traffic.Wait(); err != nil {
		t.Errorf("a query was lost: %v", err)
	}
	t.Logf("%d questions while it ended", questions.Load())
}

// way is a way to the DNS Service.
type way struct{ server, network string }

func ways() (all []way) {
	for _, server := range layout.DNSAddrs() {
		all = append(all, way{server.String(), "udp"}, way{server.String(), "tcp"})
	}
	return all
}

// resolves asks for a name from a pod.
func (w way) resolves(t *testing.T) error {
	answer, err := lookUp(t, demoPod("pair"), w.server, w.network, "kubernetes.default.svc.cluster.local.", "A")
	if err == nil && !answer.Found() {
		err = fmt.Errorf("%s at %s: %s", w.network, w.server, answer.Code)
	}
	return err
}

// answerTime is more than a busy machine takes to answer. A datagram that is lost is
// not sent again, so that its question fails however long it waits.
const answerTime = 10 * time.Second

// ask does, too, with no program for each question: what is lost in a few
// milliseconds is not to be missed.
func (w way) ask(pod *netns.Namespace) error {
	var conn net.Conn
	err := pod.Do(func() (err error) {
		conn, err = net.DialTimeout(w.network, net.JoinHostPort(w.server, "53"), answerTime)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := dns.Client{Net: w.network, Timeout: answerTime}
	answer, _, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion("kubernetes.default.svc.cluster.local.", dns.TypeA), &dns.Conn{Conn: conn})
	if err == nil && len(answer.Answer) == 0 {
		err = fmt.Errorf("%s", dns.RcodeToString[answer.Rcode])
	}
	if err != nil {
		return fmt.Errorf("%s at %s: %w", w.network, w.server, err)
	}
	return nil
}

// everyWay asks once at both addresses, over UDP and TCP.
func everyWay(t *testing.T) error {
	for _, w := range ways() {
		if err := w.resolves(t); err != nil {
			return err
		}
	}
	return nil
}

// dnsPods are the pods of the DNS servers: the node's, and the others.
func dnsPods(t *testing.T, node string) (local string, others []string) {
	t.Helper()
	await(t, func() error {
		var pods corev1.PodList
		text := output(t, "get", "pods", "-n", "kube-system", "-l", "k8s-app=kube-dns", "-o", "json")
		if err := json.Unmarshal([]byte(text), &pods); err != nil {
			return err
		}
		local, others = "", nil
		for i := range pods.Items {
			switch pod := &pods.Items[i]; {
			case pod.DeletionTimestamp != nil:
			case pod.Spec.NodeName == node:
				local = pod.Name
			default:
				others = append(others, pod.Name)
			}
		}
		if local == "" || len(others) == 0 {
			return fmt.Errorf("DNS pods %q and %q", local, others)
		}
		return nil
	})
	return local, others
}

// localServer is an error unless the node has ready endpoints of the DNS
// Service, in both families, or has none.
func localServer(t *testing.T, node string, want bool) error {
	t.Helper()
	var list discoveryv1.EndpointSliceList
	text := output(t, "get", "endpointslices", "-n", "kube-system", "-l", "kubernetes.io/service-name=kube-dns", "-o", "json")
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return err
	}
	ready := 0
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			if *endpoint.NodeName == node && *endpoint.Conditions.Ready {
				ready++
			}
		}
	}
	if expected := map[bool]int{true: 2, false: 0}[want]; ready != expected {
		return fmt.Errorf("%s has %d ready endpoints of the DNS Service, want %d", node, ready, expected)
	}
	return nil
}

// asked is how many queries the servers have had.
func asked(t *testing.T, pods []string) int {
	t.Helper()
	total := 0
	for _, pod := range pods {
		metrics := output(t, "get", "--raw", "/api/v1/namespaces/kube-system/pods/"+pod+":9153/proxy/metrics")
		for line := range strings.Lines(metrics) {
			if strings.HasPrefix(line, "coredns_dns_requests_total{") {
				value, err := strconv.ParseFloat(strings.Fields(line)[1], 64)
				if err != nil {
					t.Fatal(err)
				}
				total += int(value)
			}
		}
	}
	return total
}

// keepDown kills the server of a DNS pod whenever it runs, until revive.
func keepDown(t *testing.T, pod string) (revive func()) {
	t.Helper()
	cmd, err := bed.Command(t.Context(), demo.Place{Namespace: "kube-system", Pod: pod}, "readlink", "/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	network := strings.TrimSpace(string(out))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			killIn(network, "switchyard-dns")
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// killIn kills the programs of that name in a network namespace, which is what
// a link in /proc says of it.
func killIn(network, program string) {
	links, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, link := range links {
		process := filepath.Dir(filepath.Dir(link))
		name, _ := os.ReadFile(filepath.Join(process, "comm"))
		its, _ := os.Readlink(link)
		if pid, err := strconv.Atoi(filepath.Base(process)); err == nil && its == network && strings.TrimSpace(string(name)) == program {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
