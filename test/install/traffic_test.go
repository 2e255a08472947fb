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

package install

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/demo"
	"switchyard.dev/switchyard/test/traffic"
)

// unjudgedBefore is how many changes may be left unjudged while managers of the version
// before end, which do not lead API servers away first: that cancels what they are
// judging and closes connections on which they may just be asked. On a busy machine
// that meets one in a thousand. Those of this version leave none.
const unjudgedBefore = 2

// undisturbed does something while clients connect and the API server asks the
// webhooks, of which nothing may be lost, but for a few changes that nobody judges.
func (c *cluster) undisturbed(t *testing.T, mostUnjudged int, do func()) {
	t.Helper()
	clients := c.clients(t)
	judging := c.keepAsking(t)
	began := time.Now()
	do()
	took := time.Since(began).Seconds()
	total := 0
	for _, client := range clients {
		done, _ := client.End(t)
		total += done
	}
	asked, unjudged := judging()
	for _, answer := range unjudged {
		t.Logf("a change was not judged by a manager: %s", answer)
	}
	if len(unjudged) > mostUnjudged {
		t.Errorf("%d of %d changes were not judged by a manager", len(unjudged), asked)
	}
	if asked < 10 {
		t.Errorf("the webhooks were asked %d times", asked)
	}
	t.Logf("%d attempts to connect and %d changes to judge in %.1f s", total, asked, took)
}

// clients are in a pod, on a node and outside of all.
func (c *cluster) clients(t *testing.T) []*traffic.Client {
	t.Helper()
	pods, err := c.bed.Clientset.CoreV1().Pods("demo").List(t.Context(), metav1.ListOptions{LabelSelector: "app=front"})
	if err != nil || len(pods.Items) == 0 {
		t.Fatalf("no pod of front: %v", err)
	}
	back, protocols, fixed := c.service(t, "back"), c.service(t, "protocols"), c.service(t, "nodeport-fixed")
	var inside, outside []traffic.Target
	for _, ip := range back.Spec.ClusterIPs {
		address := net.JoinHostPort(ip, strconv.Itoa(int(back.Spec.Ports[0].Port)))
		inside = append(inside, traffic.Target{Kind: traffic.NewConnections, Name: "ClusterIP", Address: address},
			traffic.Target{Kind: traffic.LongConnection, Name: "ClusterIP", Address: address})
	}
	for _, ip := range protocols.Spec.ClusterIPs {
		address := net.JoinHostPort(ip, strconv.Itoa(int(protocols.Spec.Ports[0].Port)))
		inside = append(inside, traffic.Target{Kind: traffic.NewFlows, Name: "ClusterIP", Address: address},
			traffic.Target{Kind: traffic.LongFlow, Name: "ClusterIP", Address: address})
	}
	nodes, err := c.bed.Clientset.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes.Items {
		for _, a := range node.Status.Addresses {
			if a.Type == corev1.NodeInternalIP {
				address := net.JoinHostPort(a.Address, strconv.Itoa(int(fixed.Spec.Ports[0].NodePort)))
				outside = append(outside, traffic.Target{Kind: traffic.NewConnections, Name: "NodePort", Address: address},
					traffic.Target{Kind: traffic.LongConnection, Name: "NodePort", Address: address})
			}
		}
	}
	return []*traffic.Client{
		c.client(t, demo.Place{Pod: pods.Items[0].Name}, inside),
		c.client(t, demo.Place{Node: nodes.Items[0].Name}, inside),
		c.client(t, demo.Outside, outside),
	}
}

func (c *cluster) client(t *testing.T, place demo.Place, targets []traffic.Target) *traffic.Client {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := c.Command(context.WithoutCancel(t.Context()), place, self)
	if err != nil {
		t.Fatal(err)
	}
	return traffic.Start(t, place.String(), cmd, targets)
}

func (c *cluster) service(t *testing.T, name string) *corev1.Service {
	t.Helper()
	s, err := c.bed.Clientset.CoreV1().Services("demo").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keepAsking asks for a number that another Service has, until it is told to end. A
// manager names the holder; the API server, which lets pass what nobody judges, would
// deny it without.
func (c *cluster) keepAsking(t *testing.T) (end func() (asked int, unjudged []string)) {
	t.Helper()
	port := c.service(t, "nodeport-fixed").Spec.Ports[0].NodePort
	taken := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "taken"}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: port}},
	}}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	done := make(chan struct{})
	asked, unjudged := 0, []string{}
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			began := time.Now()
			_, err := c.bed.Clientset.CoreV1().Services("default").Create(context.WithoutCancel(ctx), taken, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			asked++
			if err == nil || !strings.Contains(err.Error(), "held by Service demo/nodeport-fixed") {
				unjudged = append(unjudged, fmt.Sprintf("%s, after %v: %v\n%s", began.Format("15:04:05.000"), time.Since(began).Round(time.Millisecond), err, c.complaints(ctx)))
			}
			select {
			case <-ctx.Done():
			case <-time.After(80 * time.Millisecond):
			}
		}
	}()
	return func() (int, []string) {
		stop()
		<-done
		return asked, unjudged
	}
}

// complaints are what the API server says of webhooks that it could not ask, and the
// last lines of managers, also of those that end, of changes that they did not judge.
func (c *cluster) complaints(ctx context.Context) string {
	logs, err := c.try(context.WithoutCancel(ctx), "", "-n", namespace, "logs", "-l", "control-plane=controller-manager", "--prefix", "--tail=30")
	if err != nil {
		return err.Error()
	}
	server, err := os.ReadFile(filepath.Join(c.State(), "logs", "kube-apiserver.log"))
	if err != nil {
		return err.Error()
	}
	var found strings.Builder
	for line := range strings.Lines(string(server) + logs) {
		if strings.Contains(line, "failing open") || strings.Contains(line, "Context canceled when calling webhook") || strings.Contains(line, `"logger":"admission"`) {
			found.WriteString(line)
		}
	}
	return found.String()
}
