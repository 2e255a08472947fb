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
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func inFamilies(list ...corev1.IPFamily) func(*corev1.Service) {
	return func(svc *corev1.Service) { svc.Spec.IPFamilies = list }
}

// called is a pod with a hostname of a headless Service.
func called(pod *corev1.Pod, hostname, subdomain string) *corev1.Pod {
	pod.Spec.Hostname, pod.Spec.Subdomain = hostname, subdomain
	return pod
}

func TestPodsHaveTheFamiliesAndNamesThatServicesPromise(t *testing.T) {
	v4, v6 := corev1.IPv4Protocol, corev1.IPv6Protocol
	web := selecting("app", "web")
	single, both := at(pod("single"), "default", "10.244.1.5"), at(pod("both"), "default", "10.244.1.6", "fd00:244::6")
	headless := []func(*corev1.Service){web, clusterIP(corev1.ClusterIPNone)}
	for name, tc := range map[string]struct {
		pods     []*corev1.Pod
		services []*corev1.Service
		old, new *corev1.Service
		want     wantVerdict
	}{
		"X13: no pod of the second family": {
			pods: []*corev1.Pod{single}, new: service("web", web, inFamilies(v4, v6)),
			want: wantVerdict{warnings: []string{"spec.ipFamilies[1]: no matching pod has an IPv6 address, so this family has no endpoint"}}},
		"some pod of each family":   {pods: []*corev1.Pod{single, both}, new: service("web", web, inFamilies(v4, v6))},
		"no pod has an address yet": {pods: []*corev1.Pod{pod("new")}, new: service("web", web, inFamilies(v4, v6))},
		"X13: a family is added": {
			pods: []*corev1.Pod{single}, old: service("web", web, inFamilies(v4)), new: service("web", web, inFamilies(v4, v6)),
			want: wantVerdict{warnings: []string{"spec.ipFamilies[1]"}}},
		"what was there before": {pods: []*corev1.Pod{single}, old: service("web", web, inFamilies(v4, v6)), new: service("web", web, inFamilies(v4, v6), external("192.0.2.7"))},

		"X14: foo beside foo-service": {
			services: []*corev1.Service{service("data-base-service")}, new: service("data-base"),
			want: wantVerdict{warnings: []string{"metadata.name: default/data-base-service sets DATA_BASE_SERVICE_PORT in pods as well"}}},
		"X14: foo-service beside foo": {
			services: []*corev1.Service{service("db")}, new: service("db-service"),
			want: wantVerdict{warnings: []string{"default/db sets DB_SERVICE_PORT in pods as well"}}},
		"a headless Service sets none": {services: []*corev1.Service{service("db", clusterIP(corev1.ClusterIPNone))}, new: service("db-service")},
		"an update":                    {services: []*corev1.Service{service("db")}, old: service("db-service"), new: service("db-service", external("192.0.2.7"))},

		"X16: two pods of one name": {
			pods: []*corev1.Pod{called(pod("a"), "node-0", "web"), called(pod("b"), "node-0", "web"), called(pod("c"), "node-0", "web")},
			new:  service("web", headless...),
			want: wantVerdict{warnings: []string{"spec.selector: pod default/a and pod default/b both have the hostname node-0"}}},
		"another subdomain":          {pods: []*corev1.Pod{called(pod("a"), "node-0", "web"), called(pod("b"), "node-0", "db")}, new: service("web", headless...)},
		"a Service with a ClusterIP": {pods: []*corev1.Pod{called(pod("a"), "node-0", "web"), called(pod("b"), "node-0", "web")}, new: service("web", web)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ValidateService(t.Context(), &memory{services: tc.services, pods: tc.pods}, nil, ServiceChange{Old: tc.old, New: tc.new})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}
