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

package diagnosis

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"switchyard.dev/switchyard/api/v1alpha1"
)

func loadBalancer(f *Facts, given ...string) {
	f.Service.Spec.Type = corev1.ServiceTypeLoadBalancer
	f.Service.Spec.Ports[0].NodePort = 30080
	for _, ip := range given {
		f.Service.Status.LoadBalancer.Ingress = append(f.Service.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: ip})
	}
}

func externalName(f *Facts, target string) {
	f.Selected = nil
	f.Service.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: target}
}

func outside(address string) *Client { return &Client{Address: netip.MustParseAddr(address)} }

func TestAddresses(t *testing.T) {
	examined(t, map[string]outcome{
		"a ClusterIP":   {state: OK},
		"both families": {state: OK, change: func(f *Facts) { f.dualStack() }},
		"a NodePort": {state: OK, change: func(f *Facts) {
			f.Service.Spec.Type, f.Service.Spec.Ports[0].NodePort = corev1.ServiceTypeNodePort, 30080
		}},
		"headless":        {state: OK, change: func(f *Facts) { f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs = "None", []string{"None"} }},
		"a load balancer": {state: OK, change: func(f *Facts) { loadBalancer(f, "192.0.2.1") }},
		"a load balancer without NodePorts": {state: OK, check: CheckAddresses, details: []string{"has no NodePorts"}, change: func(f *Facts) {
			loadBalancer(f, "192.0.2.1")
			f.Service.Spec.AllocateLoadBalancerNodePorts, f.Service.Spec.Ports[0].NodePort = new(false), 0
		}},
		"a load balancer with another address than asked for": {state: OK, check: CheckAddresses, details: []string{"asks for 192.0.2.9"}, change: func(f *Facts) {
			loadBalancer(f, "192.0.2.1")
			f.Service.Spec.LoadBalancerIP = "192.0.2.9"
		}},
		"a headless one with a port that nothing translates": {state: OK, check: CheckAddresses, details: []string{"clients have to use 8080"}, change: func(f *Facts) {
			f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs = "None", nil
		}},
		"another proxy": {state: Warning, check: CheckService, want: LeftToOtherProxy, says: []string{`leaves it to "mesh"`, "remove the label"}, change: func(f *Facts) {
			f.Service.Labels = map[string]string{proxyLabel: "mesh"}
		}},
		"no ClusterIP": {state: Problem, check: CheckAddresses, want: NoClusterIP, change: func(f *Facts) { f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs = "", nil }},
		"no NodePort": {state: Warning, check: CheckAddresses, want: NoNodePort, says: []string{"no NodePort for port http (80)"}, change: func(f *Facts) {
			f.Service.Spec.Type = corev1.ServiceTypeNodePort
		}},
		"no NodePort, and a pod asks": {state: OK, check: CheckAddresses, details: []string{"no NodePort for port http (80), which pods and nodes do not need"}, change: func(f *Facts) {
			f.Client = &Client{Pod: clientPod("shop")}
			f.Service.Spec.Type = corev1.ServiceTypeNodePort
		}},
		"nobody gives an address": {state: Warning, check: CheckAddresses, want: LoadBalancerPending, says: []string{"no load balancer has given it an address"}, change: func(f *Facts) { loadBalancer(f) }},
		"pods need no load balancer": {state: OK, check: CheckAddresses, details: []string{"no load balancer has given it an address, which pods and nodes do not need"}, change: func(f *Facts) {
			loadBalancer(f)
			f.Client = &Client{Pod: clientPod("shop")}
		}},
		"Switchyard says why it gives none": {state: Warning, check: CheckAddresses, want: LoadBalancerPending, says: []string{"no load-balancer address: no address of IPv4 is free", "kubectl get addresspools"}, change: func(f *Facts) {
			loadBalancer(f)
			f.Service.Status.Conditions = []metav1.Condition{{Type: v1alpha1.LoadBalancerAddressAssigned, Status: metav1.ConditionFalse, Message: "no address of IPv4 is free"}}
		}},
		"nobody serves the class": {state: Warning, check: CheckAddresses, want: LoadBalancerPending, says: []string{"spec.loadBalancerClass example.org/lb"}, change: func(f *Facts) {
			loadBalancer(f)
			f.Service.Spec.LoadBalancerClass = new("example.org/lb")
		}},
		"no node answers for its address": {state: Warning, check: CheckAddresses, want: AddressNotAnnounced, says: []string{"no node answers for 192.0.2.1", "exclude-from-external-load-balancers"}, change: func(f *Facts) {
			loadBalancer(f, "192.0.2.1")
			f.Unannounced = []string{"192.0.2.1"}
		}},
		"pods need nobody who answers": {state: OK, check: CheckAddresses, details: []string{"no node answers for 192.0.2.1 on the nodes' network, which pods and nodes do not need"}, change: func(f *Facts) {
			loadBalancer(f, "192.0.2.1")
			f.Unannounced = []string{"192.0.2.1"}
			f.Client = &Client{Pod: clientPod("shop")}
		}},
		"a client outside and only a ClusterIP": {state: Problem, check: CheckAddresses, want: NotExposed, says: []string{"203.0.113.7 is outside", "spec.type"}, change: func(f *Facts) {
			f.Client = outside("203.0.113.7")
		}},
		"a client outside, pending without NodePorts": {state: Problem, check: CheckAddresses, want: LoadBalancerPending, change: func(f *Facts) {
			loadBalancer(f)
			f.Service.Spec.AllocateLoadBalancerNodePorts, f.Service.Spec.Ports[0].NodePort = new(false), 0
			f.Client = outside("203.0.113.7")
		}},
		"a client outside and a NodePort": {state: OK, change: func(f *Facts) {
			f.Service.Spec.Type, f.Service.Spec.Ports[0].NodePort = corev1.ServiceTypeNodePort, 30080
			f.Client = outside("203.0.113.7")
		}},
		"an address that is not its own": {state: Warning, check: CheckAddresses, want: "IPAddressMissing", says: []string{"no IPAddress holds 10.0.0.10; do this"}, change: func(f *Facts) {
			f.Numbers = []NumberFinding{{Reason: "IPAddressMissing", Number: "10.0.0.10", Message: "no IPAddress holds 10.0.0.10", Remedy: "do this", Unallocated: true}}
		}},
		"the worst of two findings": {state: Problem, check: CheckAddresses, want: "NumberOutOfRange", details: []string{"no IPAddress"}, change: func(f *Facts) {
			f.Numbers = []NumberFinding{{Reason: "IPAddressMissing", Message: "no IPAddress", Unallocated: true}, {Reason: "NumberOutOfRange", Message: "out of range", Unallocated: true, Error: true}}
		}},
		"an address that another Service has": {state: Problem, check: CheckConflicts, want: "NumberHeldTwice", says: []string{"shop/old has 10.0.0.10, too; delete one"}, change: func(f *Facts) {
			f.Numbers = []NumberFinding{{Reason: "NumberHeldTwice", Number: "10.0.0.10", Message: "shop/old has 10.0.0.10, too", Remedy: "delete one", Error: true}}
		}},
		"conflicts that could not be seen": {state: Unknown, check: CheckConflicts, want: NotSeen, says: []string{"forbidden"}, change: func(f *Facts) {
			f.Unseen = map[Kind]string{Numbers: "listing Services of all namespaces is forbidden."}
		}},
		"it waits for two": {state: Warning, check: CheckService, want: Deleting, says: []string{"see whether what removes these finalizers runs"}, change: func(f *Facts) {
			f.Service.DeletionTimestamp, f.Service.Finalizers = new(ago(0)), []string{"example.org/a", "example.org/b"}
		}},
		"it is being deleted": {state: Warning, check: CheckService, want: Deleting, says: []string{"waits for example.org/cleanup"}, change: func(f *Facts) {
			f.Service.DeletionTimestamp, f.Service.Finalizers = new(ago(0)), []string{"example.org/cleanup"}
		}},
	})
}

func TestExternalNames(t *testing.T) {
	name := func(target string) func(*Facts) { return func(f *Facts) { externalName(f, target) } }
	inside := func(target string, services ...string) func(*Facts) {
		return func(f *Facts) {
			externalName(f, target)
			for _, s := range services {
				f.Services = append(f.Services, types.NamespacedName{Namespace: "data", Name: s})
			}
		}
	}
	examined(t, map[string]outcome{
		"a name outside":               {state: OK, change: name("db.example.org")},
		"a name with a dot at its end": {state: OK, change: name("db.example.org.")},
		"a Service of the cluster":     {state: OK, change: inside("db.data.svc.cluster.local", "db")},
		"a pod of a headless Service":  {state: OK, change: inside("db-0.db.data.svc.cluster.local", "db")},
		"a Service that could not be seen": {state: Unknown, check: CheckAddresses, want: NotSeen, change: func(f *Facts) {
			externalName(f, "db.data.svc.cluster.local")
			f.Unseen = map[Kind]string{Services: "forbidden"}
		}},
		"a selector and ports that do nothing": {state: OK, check: CheckAddresses, details: []string{"its ports do nothing", "spec.selector is ignored"}, change: func(f *Facts) {
			externalName(f, "db.example.org")
			f.Service.Spec.Selector = map[string]string{"app": "web"}
			f.Service.Spec.Ports = []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(80)}}
		}},
		"an IP address":         {state: Problem, check: CheckAddresses, want: InvalidExternalName, says: []string{"IP address 192.0.2.7", "EndpointSlice"}, change: name("192.0.2.7")},
		"an IPv6 address":       {state: Problem, check: CheckAddresses, want: InvalidExternalName, change: name("[2001:db8::1]")},
		"nothing":               {state: Problem, check: CheckAddresses, want: InvalidExternalName, change: name("")},
		"a URL":                 {state: Problem, check: CheckAddresses, want: InvalidExternalName, says: []string{"scheme"}, change: name("https://db.example.org/x")},
		"a name and a port":     {state: Problem, check: CheckAddresses, want: InvalidExternalName, change: name("db.example.org:5432")},
		"localhost":             {state: Problem, check: CheckAddresses, want: InvalidExternalName, change: name("localhost")},
		"itself":                {state: Problem, check: CheckAddresses, want: InvalidExternalName, change: name("web.shop.svc.cluster.local")},
		"another zone":          {state: Problem, check: CheckAddresses, want: ExternalNameNotFound, says: []string{"change spec.externalName to postgres.data.svc.corp.example."}, change: func(f *Facts) { inside("postgers.data.svc.corp.example", "postgres")(f); f.Zone = "corp.example" }},
		"a zone of others":      {state: OK, change: func(f *Facts) { inside("postgers.data.svc.cluster.local", "postgres")(f); f.Zone = "corp.example" }},
		"an incomplete name":    {state: Problem, check: CheckAddresses, want: InvalidExternalName, says: []string{"write db.data.svc.cluster.local"}, change: name("db.data.svc")},
		"a single word":         {state: Warning, check: CheckAddresses, want: InvalidExternalName, change: name("db")},
		"a Service not there":   {state: Problem, check: CheckAddresses, want: ExternalNameNotFound, says: []string{"data/db", "create that Service"}, change: inside("db.data.svc.cluster.local")},
		"a Service with a typo": {state: Problem, check: CheckAddresses, want: ExternalNameNotFound, says: []string{"change spec.externalName to postgres.data.svc.cluster.local."}, change: inside("postgers.data.svc.cluster.local", "cache", "postgres")},
	})
}

func TestServiceThatIsNotThere(t *testing.T) {
	name := func(namespace, name string) types.NamespacedName {
		return types.NamespacedName{Namespace: namespace, Name: name}
	}
	examined(t, map[string]outcome{
		"in no namespace": {state: Problem, check: CheckService, want: NotFound, says: []string{"There is no Service web in namespace shop; see `kubectl get services -A`."}, change: func(f *Facts) { f.Service = nil }},
		"in a namespace that is not there": {state: Problem, check: CheckService, want: NotFound, says: []string{"There is no namespace shop, and so no Service web in it; one of that name is in namespace front."}, change: func(f *Facts) {
			f.Service, f.NoNamespace, f.Services = nil, true, []types.NamespacedName{{Namespace: "front", Name: "web"}}
		}},
		"in another namespace": {state: Problem, check: CheckService, want: NotFound, says: []string{"one of that name is in namespace front."}, change: func(f *Facts) {
			f.Service, f.Services = nil, []types.NamespacedName{name("front", "web"), name("shop", "api")}
		}},
		"in others, and a typo": {state: Problem, check: CheckService, want: NotFound, says: []string{"the namespace has webb, and one of that name is in namespaces front and pay."}, change: func(f *Facts) {
			f.Service, f.Services = nil, []types.NamespacedName{name("front", "web"), name("shop", "webb"), name("pay", "web")}
		}},
		"with a typo": {state: Problem, check: CheckService, want: NotFound, says: []string{"the namespace has webb."}, change: func(f *Facts) {
			f.Service, f.Services = nil, []types.NamespacedName{name("shop", "webb"), name("shop", "api")}
		}},
		"not to be seen": {state: Unknown, check: CheckService, want: NotSeen, says: []string{"could not be read: forbidden."}, change: func(f *Facts) {
			f.Service, f.Unseen = nil, map[Kind]string{Services: "forbidden"}
		}},
	})
}
