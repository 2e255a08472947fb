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

package webhooks

import (
	"fmt"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

func endpoints(number int32, ips ...string) *corev1.Endpoints {
	subset := corev1.EndpointSubset{Ports: []corev1.EndpointPort{{Port: number}}}
	for _, ip := range ips {
		subset.NotReadyAddresses = append(subset.NotReadyAddresses, corev1.EndpointAddress{IP: ip})
	}
	return &corev1.Endpoints{Subsets: []corev1.EndpointSubset{subset}}
}

func slice(number int32, ips ...string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		Ports:     []discoveryv1.EndpointPort{{Port: new(number)}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: ips}},
	}
}

func TestAServiceCanNotBeAnEndpoint(t *testing.T) {
	proxied := service("cloud", ingress("198.51.100.1"))
	proxied.Status.LoadBalancer.Ingress[0].IPMode = ptr.To(corev1.LoadBalancerIPModeProxy)
	world := &memory{
		services: []*corev1.Service{service("web", clusterIP("10.96.0.50"), external("192.0.2.10")), proxied},
		cidrs:    []ServiceCIDR{{"kubernetes", netip.MustParsePrefix("10.96.0.0/16")}},
	}
	everyPort := slice(80, "192.0.2.10")
	everyPort.Ports[0].Port = nil
	for name, tc := range map[string]struct {
		before, after []Backend
		want          wantVerdict
	}{
		"an address outside": {after: BackendsOfEndpoints(endpoints(80, "192.0.2.1"))},
		"a ClusterIP": {
			after: BackendsOfEndpoints(endpoints(80, "192.0.2.1", "10.96.0.50")),
			want:  wantVerdict{errors: []string{`subsets[0].notReadyAddresses[1].ip: Invalid value: "10.96.0.50": this is the ClusterIP of default/web`}}},
		"inside a ServiceCIDR": {
			after: BackendsOfSlice(slice(80, "10.96.0.51")),
			want:  wantVerdict{errors: []string{"endpoints[0].addresses[0]"}}},
		"an external IP at its port": {
			after: BackendsOfSlice(slice(80, "192.0.2.10")),
			want:  wantVerdict{errors: []string{"default/web answers at port 80/TCP of this address"}}},
		"an external IP at another port is the node itself": {after: BackendsOfSlice(slice(9100, "192.0.2.10"))},
		"no port at all":                 {after: BackendsOfSlice(everyPort)},
		"a real load balancer":           {after: BackendsOfSlice(slice(80, "198.51.100.1"))},
		"a name is no address":           {after: BackendsOfSlice(slice(80, "example.org"))},
		"what was there before may stay": {before: BackendsOfSlice(slice(80, "10.96.0.50")), after: BackendsOfSlice(slice(81, "192.0.2.1", "10.96.0.50"))},
		"another port at a frontend": {
			before: BackendsOfSlice(slice(9100, "192.0.2.10")), after: BackendsOfSlice(slice(80, "192.0.2.10")),
			want: wantVerdict{errors: []string{"default/web answers"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ValidateBackends(t.Context(), world, nil, BackendChange{Namespace: "default", Before: tc.before, After: tc.after})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

func TestAThousandBadAddressesAreReportedTenTimes(t *testing.T) {
	world := &memory{cidrs: []ServiceCIDR{{"kubernetes", netip.MustParsePrefix("10.96.0.0/16")}}}
	var ips []string
	for i := range 1000 {
		ips = append(ips, fmt.Sprintf("10.96.%d.%d", i/250, i%250+1))
	}
	got, err := ValidateBackends(t.Context(), world, nil, BackendChange{After: BackendsOfSlice(slice(80, ips...))})
	if err != nil || len(got.Errors) != maxFindings {
		t.Errorf("got %d errors and %v, want %d and nil", len(got.Errors), err, maxFindings)
	}
}
