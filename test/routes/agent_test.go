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

package routes

import (
	"net/netip"
	"os"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"switchyard.dev/switchyard/internal/balancer"
	"switchyard.dev/switchyard/internal/routes"
	"switchyard.dev/switchyard/test/testenv/process"
)

// The manager is not there: the Leases are as it would write them.
const system = "switchyard-system"

func TestTheAgentAnnouncesWhatTheClusterHas(t *testing.T) {
	t.Parallel()
	w := newNetwork(t)
	n := w.newNode("a", 2, routes.BIRD)
	c := newCluster(n)
	c.register()
	service := c.service("web", web4.Addr(), web6.Addr())
	c.claim(web4.Addr(), service)
	c.claim(web6.Addr(), service)
	agent := c.startAgent()
	w.awaitHops("the agent has started", 1, all...)
	sessions := w.sessions()

	c.label(`{"metadata":{"labels":{"node.kubernetes.io/exclude-from-external-load-balancers":""}}}`)
	w.awaitHops("the node is excluded", 0, all...)
	c.label(`{"metadata":{"labels":{"node.kubernetes.io/exclude-from-external-load-balancers":null}}}`)
	w.awaitHops("the node is not excluded", 1, all...)

	agent.End(syscall.SIGTERM)
	c.release(web4.Addr())
	w.awaitHops("there is no agent", 1, all...)
	c.startAgent()
	w.awaitHops("an agent finds an address gone", 0, web4)
	w.awaitHops("and the others not", 1, web6, range4, range6)
	w.expectSame(sessions)
}

// cluster is an API server, with the node that runs the agent.
type cluster struct {
	*node
	client     kubernetes.Interface
	kubeconfig string
}

// register makes the Node.
func (c *cluster) register() {
	c.Helper()
	ctx := c.Context()
	node, err := c.client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: c.name}}, metav1.CreateOptions{})
	if err != nil {
		c.Fatal(err)
	}
	node.Status = corev1.NodeStatus{
		Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.1.0.2"}, {Type: corev1.NodeInternalIP, Address: "fd00:1::2"}},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
	}
	if _, err := c.client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) label(patch string) {
	c.Helper()
	_, err := c.client.CoreV1().Nodes().Patch(c.Context(), c.name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		c.Fatal(err)
	}
}

// service is one that has these addresses, as its status says.
func (c *cluster) service(name string, addresses ...netip.Addr) *corev1.Service {
	c.Helper()
	service, err := c.client.CoreV1().Services(metav1.NamespaceDefault).Create(c.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}},
			IPFamilyPolicy: new(corev1.IPFamilyPolicyRequireDualStack),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		c.Fatal(err)
	}
	for _, addr := range addresses {
		service.Status.LoadBalancer.Ingress = append(service.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: addr.String()})
	}
	if service, err = c.client.CoreV1().Services(metav1.NamespaceDefault).UpdateStatus(c.Context(), service, metav1.UpdateOptions{}); err != nil {
		c.Fatal(err)
	}
	return service
}

// claim writes the Lease of an address that the Service has.
func (c *cluster) claim(addr netip.Addr, service *corev1.Service) {
	c.Helper()
	holder := balancer.Holder{Service: types.NamespacedName{Namespace: service.Namespace, Name: service.Name}, UID: service.UID}
	lease := balancer.LeaseOf(system, balancer.Claim{Addr: addr, Holders: []balancer.Holder{holder}})
	if _, err := c.client.CoordinationV1().Leases(system).Create(c.Context(), lease, metav1.CreateOptions{}); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) release(addr netip.Addr) {
	c.Helper()
	name := balancer.LeaseOf(system, balancer.Claim{Addr: addr}).Name
	if err := c.client.CoordinationV1().Leases(system).Delete(c.Context(), name, metav1.DeleteOptions{}); err != nil {
		c.Fatal(err)
	}
}

// startAgent runs switchyard-node on the node.
func (c *cluster) startAgent() *process.Process {
	c.Helper()
	self, err := os.Executable()
	if err != nil {
		c.Fatal(err)
	}
	o := c.daemon.options()
	return c.start(c.ns, "env", beTheAgent+"=1", self, "--kubeconfig="+c.kubeconfig, "--hostname-override="+c.name,
		"--announce=routes", "--routes-daemon="+o.Daemon, "--routes-file="+o.File, "--routes-command="+o.Command, "--routes-cluster-ips",
		"--healthz-bind-address=127.0.0.1:10256", "--conntrack-max-per-core=0", "--protect-table=off")
}
