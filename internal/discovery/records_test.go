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

package discovery

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func makeService(spec corev1.ServiceSpec) *corev1.Service {
	if len(spec.ClusterIPs) > 0 {
		spec.ClusterIP = spec.ClusterIPs[0]
	}
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: spec}
}

func endpointSlice(name string, ports []discoveryv1.EndpointPort, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: ports, Endpoints: endpoints,
	}
}

func portOf(name string, number int32) discoveryv1.EndpointPort {
	return discoveryv1.EndpointPort{Name: &name, Protocol: new(corev1.ProtocolTCP), Port: &number}
}

func endpoint(addresses ...string) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: addresses}
}

func TestRecordsOfAService(t *testing.T) {
	http := []discoveryv1.EndpointPort{portOf("http", 8080)}
	hosted := endpoint("10.0.0.1")
	hosted.Hostname = new("db-0")
	twice := endpoint("10.0.0.1", "10.0.0.2")
	twice.Hostname = new("db-0")
	pod := endpoint("10.0.0.1")
	pod.TargetRef = &corev1.ObjectReference{Kind: "Pod", Name: "web-x1"}
	unready := endpoint("10.0.0.9")
	unready.Conditions.Ready = new(false)
	headless := corev1.ServiceSpec{ClusterIPs: []string{"None"}}

	for name, tc := range map[string]struct {
		spec    corev1.ServiceSpec
		slices  []*discoveryv1.EndpointSlice
		options Options
		want    string
	}{
		"D2, D3, D4: a ClusterIP of both families; what has no name has no SRV": {
			spec: corev1.ServiceSpec{ClusterIPs: []string{"10.96.0.7", "fd00::7"}, Ports: []corev1.ServicePort{
				{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}, {Protocol: corev1.ProtocolUDP, Port: 53}}},
			want: `
web.shop.svc.cluster.local. 5 IN A 10.96.0.7
web.shop.svc.cluster.local. 5 IN AAAA fd00::7
_http._tcp.web.shop.svc.cluster.local. 5 IN SRV 0 50 80 web.shop.svc.cluster.local.
7.0.96.10.in-addr.arpa. 5 IN PTR web.shop.svc.cluster.local.
7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. 5 IN PTR web.shop.svc.cluster.local.`,
		},
		"endpoints of a ClusterIP have names, too": {
			spec:   corev1.ServiceSpec{ClusterIPs: []string{"10.96.0.7"}},
			slices: []*discoveryv1.EndpointSlice{endpointSlice("a", http, endpoint("10.0.0.1"), unready)},
			want: `
web.shop.svc.cluster.local. 5 IN A 10.96.0.7
10-0-0-1.web.shop.svc.cluster.local. 5 IN A 10.0.0.1
1.0.0.10.in-addr.arpa. 5 IN PTR 10-0-0-1.web.shop.svc.cluster.local.
7.0.96.10.in-addr.arpa. 5 IN PTR web.shop.svc.cluster.local.`,
		},
		"D5: headless, without a ready endpoint": {
			spec: headless, slices: []*discoveryv1.EndpointSlice{endpointSlice("a", http, unready)}, want: "\n",
		},
		"D6, D7, D8: headless, a hostname with two addresses, ports that differ by pod": {
			spec:   headless,
			slices: []*discoveryv1.EndpointSlice{endpointSlice("a", http, twice), endpointSlice("b", []discoveryv1.EndpointPort{portOf("http", 9090)}, endpoint("10.0.0.3"))},
			want: `
web.shop.svc.cluster.local. 5 IN A 10.0.0.1
web.shop.svc.cluster.local. 5 IN A 10.0.0.2
web.shop.svc.cluster.local. 5 IN A 10.0.0.3
10-0-0-3.web.shop.svc.cluster.local. 5 IN A 10.0.0.3
db-0.web.shop.svc.cluster.local. 5 IN A 10.0.0.1
db-0.web.shop.svc.cluster.local. 5 IN A 10.0.0.2
_http._tcp.web.shop.svc.cluster.local. 5 IN SRV 0 33 8080 db-0.web.shop.svc.cluster.local.
_http._tcp.web.shop.svc.cluster.local. 5 IN SRV 0 33 9090 10-0-0-3.web.shop.svc.cluster.local.
1.0.0.10.in-addr.arpa. 5 IN PTR db-0.web.shop.svc.cluster.local.
2.0.0.10.in-addr.arpa. 5 IN PTR db-0.web.shop.svc.cluster.local.
3.0.0.10.in-addr.arpa. 5 IN PTR 10-0-0-3.web.shop.svc.cluster.local.`,
		},
		"D6: an IPv6 address that ends with colons": {
			spec: headless, slices: []*discoveryv1.EndpointSlice{endpointSlice("a", nil, endpoint("2001:db8::"))},
			want: `
web.shop.svc.cluster.local. 5 IN AAAA 2001:db8::
2001-db8--0.web.shop.svc.cluster.local. 5 IN AAAA 2001:db8::
0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 5 IN PTR 2001-db8--0.web.shop.svc.cluster.local.`,
		},
		"D6: the pod's name, if asked for and there is no hostname": {
			spec: headless, slices: []*discoveryv1.EndpointSlice{endpointSlice("a", nil, pod)}, options: Options{EndpointPodNames: true},
			want: `
web.shop.svc.cluster.local. 5 IN A 10.0.0.1
web-x1.web.shop.svc.cluster.local. 5 IN A 10.0.0.1
1.0.0.10.in-addr.arpa. 5 IN PTR web-x1.web.shop.svc.cluster.local.`,
		},
		"D9: an ExternalName, whatever slices it has": {
			spec:   corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"},
			slices: []*discoveryv1.EndpointSlice{endpointSlice("a", http, hosted)},
			want: `
web.shop.svc.cluster.local. 5 IN CNAME example.com.`,
		},
		"D9: an address is no name": {
			spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "192.0.2.1"}, want: "\n",
		},
		"D11: ignored while it is empty": {
			spec: corev1.ServiceSpec{ClusterIPs: []string{"10.96.0.7"}}, options: Options{IgnoreEmpty: true},
			slices: []*discoveryv1.EndpointSlice{endpointSlice("a", http, unready)}, want: "\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.options.Zone, tc.options.TTL = zone, DefaultTTL
			var got []string
			for _, r := range Records(makeService(tc.spec), tc.slices, tc.options) {
				got = append(got, r.String())
			}
			if diff := cmp.Diff(strings.TrimPrefix(tc.want, "\n"), strings.Join(got, "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
