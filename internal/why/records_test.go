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

package why

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
)

func TestTheRecordsOfAService(t *testing.T) {
	const (
		name   = "web.shop.svc.cluster.local."
		noIPv6 = name + " AAAA NODATA: the Service has no ClusterIP of IPv6"
	)
	headless := func(service *corev1.Service, _ *discoveryv1.EndpointSlice) {
		service.Spec.ClusterIP, service.Spec.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone}
	}
	for title, tc := range map[string]struct {
		change func(*corev1.Service, *discoveryv1.EndpointSlice)
		want   []string
	}{
		"a port without a name": {func(*corev1.Service, *discoveryv1.EndpointSlice) {}, []string{
			name + " A 10.0.0.10", "10-1-0-1." + name + " A 10.1.0.1", "10-1-1-1." + name + " A 10.1.1.1",
			"1.0.1.10.in-addr.arpa. PTR 10-1-0-1." + name, "1.1.1.10.in-addr.arpa. PTR 10-1-1-1." + name, "10.0.0.10.in-addr.arpa. PTR " + name,
			noIPv6, "port 80/TCP has no name, and so no SRV record",
		}},
		"headless, nobody ready": {func(service *corev1.Service, slice *discoveryv1.EndpointSlice) {
			headless(service, slice)
			for i := range slice.Endpoints {
				slice.Endpoints[i].Conditions.Ready = new(false)
			}
		}, []string{"no endpoint of this headless Service is ready: the name does not exist (NXDOMAIN)"}},
		"an alias": {func(service *corev1.Service, _ *discoveryv1.EndpointSlice) {
			service.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "db.example.org"}
		}, []string{name + " CNAME db.example.org."}},
		"more than anybody reads": {func(service *corev1.Service, slice *discoveryv1.EndpointSlice) {
			headless(service, slice)
			slice.Endpoints = nil
			for i := range 30 {
				slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.1.0.%d", 100+i)}})
			}
		}, nil},
	} {
		t.Run(title, func(t *testing.T) {
			objects := web()
			tc.change(objects[0].(*corev1.Service), objects[1].(*discoveryv1.EndpointSlice))
			step, made := ask(t, asker(t, &access{}, objects...), shopWeb).Step(diagnosis.CheckDNS)
			if tc.want == nil {
				const more = "and 70 more: `switchyard records shop/web`"
				if len(step.Details) < maxRecords+1 || step.Details[maxRecords] != more {
					t.Errorf("line %d is not %q: %q", maxRecords, more, step.Details)
				}
				return
			}
			if diff := cmp.Diff(tc.want, step.Details); !made || diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Who may not read slices is not told that a name does not exist.
func TestTheRecordsOfAServiceWhoseSlicesAreNotRead(t *testing.T) {
	objects := web()
	service := objects[0].(*corev1.Service)
	service.Spec.ClusterIP, service.Spec.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone}
	a := asker(t, &access{}, append([]client.Object{}, objects...)...)
	r := &reading{Asker: a, facts: &diagnosis.Facts{Service: service, Zone: "cluster.local"}}
	r.missed(diagnosis.EndpointSlices, fmt.Errorf("forbidden"), "nothing is known")
	if lines := r.records(); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
}
