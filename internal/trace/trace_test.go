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

package trace

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/dataplane/agent"
	"switchyard.dev/switchyard/internal/dataplane/explain"
)

// The cluster of these tests has two nodes with a pod of "web" on the second.
func objects(change ...func(*Objects)) Objects {
	o := Objects{
		Nodes: []corev1.Node{node("node-1", "172.30.0.11"), node("node-2", "172.30.0.12")},
		Pods:  []corev1.Pod{pod("client", "node-1", "10.244.1.5", nil), pod("web-0", "node-2", "10.244.2.5", map[string]string{"app": "web"})},
		Services: []corev1.Service{
			service("web", "10.96.0.10", 30080, func(*corev1.Service) {}),
			service("local", "10.96.0.11", 30081, func(svc *corev1.Service) {
				svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
				svc.Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyLocal)
				svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
				svc.Spec.LoadBalancerSourceRanges = []string{"203.0.113.0/24"}
			}),
			service("nobody", "10.96.0.12", 30082, func(svc *corev1.Service) { svc.Spec.Selector = map[string]string{"app": "nobody"} }),
			service("ill", "10.96.0.13", 30083, func(*corev1.Service) {}),
			service("sick", "10.96.0.14", 30084, func(svc *corev1.Service) {
				svc.Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyLocal)
			}),
		},
		Slices:       []discoveryv1.EndpointSlice{slice("web", true), slice("local", true), slice("ill", false), slice("sick", false)},
		ServiceCIDRs: []networkingv1.ServiceCIDR{{Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/16"}}}},
	}
	for _, f := range change {
		f(&o)
	}
	return o
}

func node(name, ip string) corev1.Node {
	return corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}}},
	}
}

func pod(name, node, ip string, labels map[string]string) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: labels},
		Spec:       corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{PodIP: ip},
	}
}

func service(name, ip string, nodePort int32, change func(*corev1.Service)) corev1.Service {
	svc := corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, ClusterIP: ip, ClusterIPs: []string{ip}, Selector: map[string]string{"app": "web"},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, NodePort: nodePort, Protocol: corev1.ProtocolTCP}},
		},
	}
	change(&svc)
	return svc
}

func slice(service string, ready bool) discoveryv1.EndpointSlice {
	return discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: service, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}},
		Endpoints: []discoveryv1.Endpoint{{
			Addresses: []string{"10.244.2.5"}, NodeName: new("node-2"), Conditions: discoveryv1.EndpointConditions{Ready: new(ready), Serving: new(ready)},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "web-0"},
		}},
	}
}

func settings() Settings {
	return Settings{Known: "of a test", Node: agent.NodeOptions{
		NodePorts:   agent.NodePortAddresses{Primary: true},
		DetectLocal: agent.DetectLocal{ClusterCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")}},
	}}
}

func answer(t *testing.T, o Objects, q Query) Answer {
	t.Helper()
	return answerWith(t, o, q, settings())
}

func answerWith(t *testing.T, o Objects, q Query, s Settings) Answer {
	t.Helper()
	q.Namespace, q.Domain = "default", "cluster.local"
	asked, err := o.Find(q)
	if err != nil {
		t.Fatal(err)
	}
	a, err := o.Explain(asked, asked.Destinations[0], s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestTheVerdictAndWhatToDo(t *testing.T) {
	for name, tc := range map[string]struct {
		from, to string
		node     string
		want     string
		advice   string
	}{
		"a Service":        {from: "client", to: "web:http", want: "SENT TO 10.244.2.5:8080, with the client's own address."},
		"from outside":     {from: "203.0.113.9", to: "node-2:30080", want: "SENT TO 10.244.2.5:8080, with the node's address in place of the client's."},
		"a port not there": {from: "client", to: "web:81", want: "REFUSED", advice: "add this one to its spec.ports"},
		"nobody selected":  {from: "client", to: "nobody:80", want: "REFUSED", advice: "No pod of namespace default has the labels that Service nobody selects (app=nobody)"},
		"nobody ready":     {from: "client", to: "ill:80", want: "REFUSED", advice: "None of its endpoints is ready: `kubectl describe pod -n default web-0`"},
		"Local, from a pod": {from: "client", to: "local:80", want: "DROPPED",
			advice: "set spec.internalTrafficPolicy of Service default/local to Cluster, or run a pod of it on node-1"},
		"Local, from outside": {from: "203.0.113.9", to: "node-1:30081", want: "DROPPED", advice: "The Service's endpoints are on node-2. Connect there"},
		"Local, nobody ready": {from: "client", to: "sick:80", want: "REFUSED", advice: "None of its endpoints is ready: `kubectl describe pod -n default web-0`"},
		"not in the ranges": {from: "198.51.100.7", to: "192.0.2.1:80", node: "node-2", want: "DROPPED",
			advice: "add 198.51.100.7/32, or a range around it, to spec.loadBalancerSourceRanges of Service default/local"},
		"nobody's ClusterIP":      {from: "client", to: "10.96.9.9:80", want: "DROPPED", advice: "Ask for the Service by its name"},
		"another node's NodePort": {from: "client", to: "node-2:30080", want: "PASSED ON", advice: "`switchyard trace --node node-2`"},
		"none of a Service":       {from: "client", to: "1.1.1.1:443", want: "PASSED ON"},
	} {
		t.Run(name, func(t *testing.T) {
			a := answer(t, objects(), Query{From: tc.from, To: tc.to, Node: tc.node})
			if !strings.HasPrefix(a.Verdict(), tc.want) || a.Doubt != "" {
				t.Errorf("the verdict is not %q in\n%s", tc.want, a.Text())
			}
			advice := strings.Join(a.Advice, "\n")
			if !strings.Contains(advice, tc.advice) || tc.advice == "" && advice != "" {
				t.Errorf("the advice is %q, want %q", advice, tc.advice)
			}
		})
	}
}

func TestARefusalForWantOfALocalEndpointIsAdvisedLikeADrop(t *testing.T) {
	s := settings()
	s.Node.RejectWithoutLocal = true
	a := answerWith(t, objects(), Query{From: "client", To: "local:80"}, s)
	if a.Outcome.End != explain.Refused || !strings.Contains(strings.Join(a.Advice, " "), "endpoints are on node-2") {
		t.Errorf("it says\n%s", a.Text())
	}
}

func TestEachEndpointHasItsChance(t *testing.T) {
	weighted := func(o *Objects) {
		o.Services[0].Annotations = map[string]string{
			"switchyard.dev/scheduler": "weighted", "switchyard.dev/weights": "web-0=3",
		}
		other := o.Slices[0].Endpoints[0].DeepCopy()
		other.Addresses, other.TargetRef.Name = []string{"10.244.2.6"}, "web-1"
		o.Slices[0].Endpoints = append(o.Slices[0].Endpoints, *other)
	}
	text := answer(t, objects(weighted), Query{From: "client", To: "web:80"}).Text()
	for _, want := range []string{"10.244.2.5:8080  web-0  node-2  -     75%", "10.244.2.6:8080  web-1  node-2  -     25%", "SENT TO one of 2 endpoints"} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing says %q in\n%s", want, text)
		}
	}
}

func TestTheNodeToLookFrom(t *testing.T) {
	for name, tc := range map[string]struct {
		q       Query
		want    string
		wantErr string
	}{
		"the client's":                    {q: Query{From: "client", To: "node-2:30080"}, want: "node-1"},
		"the destination's":               {q: Query{From: "203.0.113.9", To: "172.30.0.12:30080"}, want: "node-2"},
		"who answers for the address":     {q: Query{From: "203.0.113.9", To: "198.51.100.7:80"}, want: "node-2"},
		"one that was there":              {q: Query{From: "203.0.113.9", To: "198.51.100.8:80"}, wantErr: "say with --node"},
		"the one that was said":           {q: Query{From: "client", To: "web:80", Node: "node-2"}, want: "node-2"},
		"one that is not there":           {q: Query{From: "client", To: "web:80", Node: "node-9"}, wantErr: "--node: no node is called \"node-9\"; there are node-1, node-2"},
		"one that can not be known":       {q: Query{From: "203.0.113.9", To: "web:80"}, wantErr: "say with --node"},
		"nobody in that family":           {q: Query{From: "fd00::9", To: "web:80"}, wantErr: "--from fd00::9 has no address of the IP family of --to web:80"},
		"no such pod":                     {q: Query{From: "nobody", To: "web:80"}, wantErr: "--from: "},
		"no such Service":                 {q: Query{From: "client", To: "webb:80"}, wantErr: "--to: there is no Service webb"},
		"the word for a local cluster":    {q: Query{From: "outside", To: "node-1:30080", Outside: []netip.Addr{netip.MustParseAddr("172.30.0.1")}}, want: "node-1"},
		"the word where there is no such": {q: Query{From: "outside", To: "node-1:30080"}, wantErr: "\"outside\" is no pod"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.q.Namespace, tc.q.Domain = "default", "cluster.local"
			o := objects()
			o.Announcers = map[netip.Addr]string{netip.MustParseAddr("198.51.100.7"): "node-2", netip.MustParseAddr("198.51.100.8"): "node-3"}
			got, err := o.Find(tc.q)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("error %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil || got.Node != tc.want {
				t.Errorf("node %q, error %v, want %q", got.Node, err, tc.want)
			}
		})
	}
}

// elapsed is how long the connections of these tests took.
const elapsed = 300 * time.Microsecond
