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

package lookup

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var comparable = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})

func addrs(texts ...string) []netip.Addr { return onePerFamily(texts) }

func pod(namespace, name, node string, ips ...string) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.PodSpec{NodeName: node}}
	for _, ip := range ips {
		p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: ip})
	}
	return p
}

func node(name string, ips ...string) corev1.Node {
	n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, ip := range ips {
		n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	return n
}

func TestSourcesThatPeopleName(t *testing.T) {
	host := pod("kube-system", "cni", "node-1", "172.30.0.11")
	host.Spec.HostNetwork = true
	gone := pod("default", "gone", "node-2", "10.244.1.5")
	gone.Status.Phase = corev1.PodSucceeded
	pods := []corev1.Pod{
		gone, pod("default", "web", "node-1", "10.244.1.5", "fd00::5"), pod("shop", "web", "node-2", "10.244.2.5"),
		pod("default", "both", "node-1", "10.244.1.6"), pod("default", "young", ""), host,
	}
	ghost := pod("kube-system", "ghost", "node-9", "172.30.0.19") // of a node that is not registered any more
	ghost.Spec.HostNetwork = true
	pods = append(pods, ghost)
	nodes := []corev1.Node{node("node-1", "172.30.0.11", "fd00:1::11"), node("both", "172.30.0.12")}
	web := Source{Kind: Pod, Namespace: "default", Name: "web", Node: "node-1", Addrs: addrs("10.244.1.5", "fd00::5")}
	for text, tc := range map[string]struct {
		want    Source
		wantErr string
	}{
		"web":               {want: web},
		"pod/web":           {want: web},
		"shop/web":          {want: Source{Kind: Pod, Namespace: "shop", Name: "web", Node: "node-2", Addrs: addrs("10.244.2.5")}},
		"kube-system/cni":   {want: Source{Kind: Pod, Namespace: "kube-system", Name: "cni", Node: "node-1", HostNetwork: true, Addrs: addrs("172.30.0.11")}},
		"node-1":            {want: Source{Kind: Node, Name: "node-1", Node: "node-1", Addrs: addrs("172.30.0.11", "fd00:1::11")}},
		"172.30.0.11":       {want: Source{Kind: Node, Name: "node-1", Node: "node-1", Addrs: addrs("172.30.0.11")}},
		"10.244.1.5":        {want: Source{Kind: Pod, Namespace: "default", Name: "web", Node: "node-1", Addrs: addrs("10.244.1.5")}},
		"192.0.2.1":         {want: Source{Kind: Outside, Addrs: addrs("192.0.2.1")}},
		"172.30.0.19":       {want: Source{Kind: Outside, Addrs: addrs("172.30.0.19")}},
		"::ffff:10.244.1.5": {want: Source{Kind: Pod, Namespace: "default", Name: "web", Node: "node-1", Addrs: addrs("10.244.1.5")}},
		"both":              {wantErr: "say pod/both or node/both"},
		"node/both":         {want: Source{Kind: Node, Name: "both", Node: "both", Addrs: addrs("172.30.0.12")}},
		"nobody":            {wantErr: `"nobody" is no pod of namespace default, no node and no IP address`},
		"shop/nobody":       {wantErr: "there is no pod shop/nobody"},
		"default/gone":      {wantErr: "pod default/gone has ended (phase Succeeded)"},
		"pod/young":         {wantErr: "has no address"},
	} {
		t.Run(text, func(t *testing.T) {
			got, err := FindSource(text, "default", pods, nodes)
			check(t, err, tc.wantErr)
			if diff := cmp.Diff(tc.want, got, comparable); diff != "" {
				t.Errorf("source (-want +got):\n%s", diff)
			}
		})
	}
}

func check(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case err == nil && want != "":
		t.Errorf("no error, want %q", want)
	case err != nil && (want == "" || !strings.Contains(err.Error(), want)):
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestDestinationsThatPeopleName(t *testing.T) {
	service := func(namespace, name string, ips ...string) corev1.Service {
		svc := corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.ServiceSpec{ClusterIPs: ips}}
		svc.Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 80}, {Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}, {Name: "dns-tcp", Port: 53}}
		return svc
	}
	headless := service("default", "headless")
	headless.Spec.ClusterIP = corev1.ClusterIPNone
	alias := service("default", "alias")
	alias.Spec.Type, alias.Spec.ExternalName = corev1.ServiceTypeExternalName, "example.org"
	services := []corev1.Service{service("default", "web", "10.96.0.10", "fd00::a"), service("shop", "cart", "10.96.0.11"), headless, alias}
	type destination struct {
		Addr     string
		Protocol corev1.Protocol
	}
	both := func(protocol corev1.Protocol, port string) []destination {
		return []destination{{"10.96.0.10:" + port, protocol}, {"[fd00::a]:" + port, protocol}}
	}
	for text, tc := range map[string]struct {
		protocol corev1.Protocol
		want     []destination
		wantErr  string
	}{
		"10.0.0.1:80":                      {want: []destination{{"10.0.0.1:80", "TCP"}}},
		"[fd00::1]:53":                     {protocol: "UDP", want: []destination{{"[fd00::1]:53", "UDP"}}},
		"web:80":                           {want: both("TCP", "80")},
		"web:http":                         {want: both("TCP", "80")},
		"web:dns":                          {want: both("UDP", "53")},
		"web:dns-tcp":                      {want: both("TCP", "53")},
		"[::ffff:10.0.0.1]:80":             {want: []destination{{"10.0.0.1:80", "TCP"}}},
		"web:53":                           {want: both("UDP", "53")},
		"web.:53":                          {protocol: "TCP", want: both("TCP", "53")},
		"web:9999":                         {want: both("TCP", "9999")},
		"web.default.svc.cluster.local:80": {want: both("TCP", "80")},
		"cart.shop.svc:80":                 {want: []destination{{"10.96.0.11:80", "TCP"}}},
		"cart:80":                          {wantErr: "but one in shop: say cart.shop"},
		"web:https":                        {wantErr: "has no port \"https\", it has: http 80/TCP, dns 53/UDP"},
		"nobody:80":                        {wantErr: "there is no Service nobody"},
		"headless:80":                      {wantErr: "is headless"},
		"alias:80":                         {wantErr: "alias of example.org"},
		"web":                              {wantErr: "is not HOST:PORT"},
		"10.0.0.1:0":                       {wantErr: "not a number from 1 to 65535"},
	} {
		t.Run(text, func(t *testing.T) {
			found, err := FindDestinations(text, tc.protocol, "default", "cluster.local", services)
			check(t, err, tc.wantErr)
			var got []destination
			for _, d := range found {
				got = append(got, destination{d.String(), d.Protocol})
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("destinations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestANodeConnectsFromItsInternalAddress(t *testing.T) {
	n := node("node-1", "172.30.0.11")
	n.Status.Addresses = append([]corev1.NodeAddress{{Type: corev1.NodeExternalIP, Address: "203.0.113.1"}}, n.Status.Addresses...)
	got, err := FindSource("node-1", "default", nil, []corev1.Node{n})
	if diff := cmp.Diff(addrs("172.30.0.11"), got.Addrs, comparable); err != nil || diff != "" {
		t.Errorf("error %v, addresses (-want +got):\n%s", err, diff)
	}
}

func TestASourceHasOneAddressForADestination(t *testing.T) {
	s := Source{Addrs: addrs("10.244.1.5", "fd00::5")}
	for to, want := range map[string]string{"10.96.0.10": "10.244.1.5", "fd00::a": "fd00::5"} {
		if got, ok := s.Of(netip.MustParseAddr(to)); !ok || got.String() != want {
			t.Errorf("to %s it has %s", to, got)
		}
	}
	if got, ok := (Source{Addrs: addrs("fd00::5")}).Of(netip.MustParseAddr("10.96.0.10")); ok {
		t.Errorf("it has IPv4 address %s", got)
	}
}
