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

package migration

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/test/docs/page"
	"switchyard.dev/switchyard/test/prereq"
	"switchyard.dev/switchyard/test/traffic"
)

var nodes = []string{"node-1", "node-2"}

func TestMain(m *testing.M) {
	traffic.Main()
	os.Exit(m.Run())
}

func TestNoConnectionFailsThereAndBack(t *testing.T) {
	prereq.Root(t)
	prereq.Tool(t, "curl", "curl")
	prereq.Tool(t, "iptables", "iptables")
	prereq.Tool(t, "nft", "nftables")
	manual, before, stock := page.RunBy(t, "docs/migrate.md"), page.RunBy(t, "docs/migrate-iptables.md"), page.RunBy(t, "docs/local-cluster.md")
	archive := writeImage(t)
	t.Run("iptables", func(t *testing.T) {
		t.Parallel()
		c := startCluster(t, "iptables", archive)
		stop := c.underTraffic(t)
		c.follow(t, before, "Before")
		c.follow(t, manual, "1. Prepare")
		c.follow(t, manual, "2. Take over a node", "node-1")
		c.expectTakenOver(t, "node-1")
		// The other way to remove its rules.
		take := commands(t, manual, "2. Take over a node")
		c.mustShell(t, forNodes(strings.Join(take[:len(take)-1], ""), []string{"node-2"}))
		c.mustShell(t, "switchyard exec --node 2 -- $(which kube-proxy) --cleanup")
		c.expectTakenOver(t, "node-2")
		if said := c.mustShell(t, take[len(take)-1]); said != "kube-proxy has left nothing here.\n" {
			t.Errorf("kube-proxy left something: %s", said)
		}
		c.expectFollowed(t, "there")
		for _, node := range nodes {
			c.follow(t, manual, "5. Give a node back", node)
			c.expectRules(t, node, "KUBE-SERVICES", ours, ours6)
		}
		c.expectFollowed(t, "back")
		stop()
	})
	t.Run("nftables", func(t *testing.T) {
		t.Parallel()
		c := startCluster(t, "nftables", archive)
		stop := c.underTraffic(t)
		c.follow(t, stock, "A cluster without Switchyard")
		c.follow(t, manual, "1. Prepare")
		c.follow(t, manual, "2. Take over a node", nodes...)
		for _, node := range nodes {
			c.expectTakenOver(t, node)
		}
		c.expectFollowed(t, "there")
		c.follow(t, manual, "3. When all nodes are done")
		c.expectConfigured(t)
		c.follow(t, manual, "4. Back")
		c.follow(t, manual, "5. Give a node back", nodes...)
		for _, node := range nodes {
			c.expectRules(t, node, "table ip kube-proxy", ours, ours6)
		}
		c.expectFollowed(t, "back")
		c.follow(t, manual, "6. When all nodes are given back")
		stop()
	})
}

// Our tables, as nft names them.
const (
	ours  = "table ip switchyard"
	ours6 = "table ip6 switchyard"
)

// services are a server on each node, which are clients as well, and Services of
// them; and one without endpoints.
const services = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: any
        ports: [{containerPort: 80}, {containerPort: 81, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  ipFamilyPolicy: RequireDualStack
  externalIPs: [198.51.100.7]
  selector: {app: web}
  ports: [{name: tcp, port: 80}, {name: udp, port: 81, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: local}
spec: {type: NodePort, externalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
`

func (c *cluster) installServices(t *testing.T) {
	t.Helper()
	c.mustShell(t, "kubectl apply -f - <<'END'\n"+services+"END\nkubectl rollout status daemonset web")
	c.await(t, "each node leads to pods", "for n in 1 2; do switchyard exec --node $n -- "+
		"switchyard probe --count 4 $(kubectl get service web -o jsonpath='{.spec.clusterIP}'):80; done")
}

// underTraffic runs clients everywhere; stop ends them and judges.
func (c *cluster) underTraffic(t *testing.T) (stop func()) {
	t.Helper()
	c.installServices(t)
	var web, local, nobody corev1.Service
	c.get(t, &web, "service web")
	c.get(t, &local, "service local")
	c.get(t, &nobody, "service nobody")
	var pods corev1.PodList
	c.get(t, &pods, "pods -l app=web")

	inside := append(addressTargets(web), traffic.Target{Kind: traffic.Refusals, Name: "nobody", Address: net.JoinHostPort(nobody.Spec.ClusterIP, "80")})
	inside = append(inside, nodePortTargets(web)...)
	outside := append(nodePortTargets(web), nodePortTargets(local)...)

	var clients []*traffic.Client
	for _, pod := range pods.Items {
		clients = append(clients, c.startClient(t, "pod on "+pod.Spec.NodeName, []string{pod.Name}, inside))
	}
	for _, node := range nodes {
		number := strings.TrimPrefix(node, "node-")
		clients = append(clients, c.startClient(t, node, []string{"--node", number}, inside))
	}
	clients = append(clients, c.startClient(t, "outside", []string{"--outside"}, outside))
	return func() {
		total := 0
		for _, l := range clients {
			done, slow := l.End(t)
			t.Logf("%s: %d attempts, %d of them took longer than a second", l.Name, done, slow)
			total += done
		}
		t.Logf("%d attempts in all", total)
	}
}

// addressTargets are the Service's own addresses, of both families, and those that
// it has from outside.
func addressTargets(s corev1.Service) []traffic.Target {
	var targets []traffic.Target
	add := func(name string, addresses []string, port string, kinds ...traffic.Kind) {
		for _, ip := range addresses {
			for _, kind := range kinds {
				targets = append(targets, traffic.Target{Kind: kind, Name: name, Address: net.JoinHostPort(ip, port)})
			}
		}
	}
	add("ClusterIP", s.Spec.ClusterIPs, "80", traffic.NewConnections, traffic.LongConnection)
	add("ClusterIP", s.Spec.ClusterIPs, "81", traffic.NewFlows, traffic.LongFlow)
	add("external IP", s.Spec.ExternalIPs, "80", traffic.NewConnections, traffic.LongConnection)
	return targets
}

// nodePortTargets are NodePorts at the primary addresses of both nodes.
func nodePortTargets(s corev1.Service) []traffic.Target {
	addresses := []string{"172.30.0.11", "172.30.0.12"}
	if len(s.Spec.ClusterIPs) > 1 {
		addresses = append(addresses, "fd00:172:30::11", "fd00:172:30::12")
	}
	var targets []traffic.Target
	for _, ip := range addresses {
		for _, port := range s.Spec.Ports {
			kinds := []traffic.Kind{traffic.NewConnections, traffic.LongConnection}
			if port.Protocol == corev1.ProtocolUDP {
				kinds = []traffic.Kind{traffic.LongFlow}
			}
			for _, kind := range kinds {
				targets = append(targets, traffic.Target{Kind: kind, Name: "NodePort", Address: net.JoinHostPort(ip, fmt.Sprint(port.NodePort))})
			}
		}
	}
	return targets
}

// expectRules wants one thing in a node's kernel, and others not.
func (c *cluster) expectRules(t *testing.T, node, want string, gone ...string) {
	t.Helper()
	rules := c.must(t, "exec", "--node", strings.TrimPrefix(node, "node-"), "--", "nft", "list", "ruleset")
	if !strings.Contains(rules, want) {
		t.Errorf("%s has no %s", node, want)
	}
	for _, name := range gone {
		if strings.Contains(rules, name) {
			t.Errorf("%s still has %s:\n%s", node, name, rules)
		}
	}
}

// expectFollowed wants that load balancers outside are told how nodes are, without
// any change of Services, by who could not while the other one had the port. And
// that a Service which is made then works on all nodes.
func (c *cluster) expectFollowed(t *testing.T, name string) {
	t.Helper()
	c.await(t, "each node has a health-check node port", "port=$(kubectl get service balanced -o jsonpath='{.spec.healthCheckNodePort}'); "+
		"for n in 1 2; do switchyard exec --outside -- bash -c \"exec 3<>/dev/tcp/172.30.0.1$n/$port\"; done")
	c.mustShell(t, "kubectl create service clusterip "+name+" --tcp=80 && kubectl set selector service "+name+" app=web")
	c.await(t, "each node leads to "+name, "ip=$(kubectl get service "+name+" -o jsonpath='{.spec.clusterIP}'); "+
		"for n in 1 2; do switchyard exec --node $n -- switchyard probe $ip:80; done")
}
