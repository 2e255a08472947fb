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

package allocator

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// No proxy serves a headless Service, or one that is an alias.
func TestOnlyServicesThatAreServedUseAddresses(t *testing.T) {
	for name, tc := range map[string]struct {
		change edit
		want   []string
	}{
		"a Service":               {func(*corev1.Service) {}, []string{"LoadBalancer", "ExternalIP"}},
		"with no ClusterIP yet":   {func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil }, []string{"LoadBalancer", "ExternalIP"}},
		"a headless one":          {ips("None"), nil},
		"an alias of another one": {externalName, nil},
	} {
		t.Run(name, func(t *testing.T) {
			index := newIndex(t, "10.0.0.0/24")
			service := svc(loadBalancer, ips("10.0.0.5"), tc.change, func(s *corev1.Service) {
				s.Spec.ExternalIPs = []string{"192.0.2.7"}
				s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.7"}}
			})
			index.Observe(stored(service, "u1", 1))
			var got []string
			for _, user := range index.AddressUsers(netip.MustParseAddr("192.0.2.7")) {
				got = append(got, string(user.Use))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("uses (-want +got):\n%s", diff)
			}
		})
	}
}
