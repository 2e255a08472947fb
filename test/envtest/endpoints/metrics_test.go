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

package endpoints

import (
	"io"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/test/testenv/ports"
)

var _ = Describe("The manager's metrics", Serial, func() {
	It("have kube-controller-manager's names", func(ctx SpecContext) {
		address, err := ports.Address()
		Expect(err).NotTo(HaveOccurred())
		stopControllers()
		start(newManagerWith(restConfig, address), controllers.EndpointsAll, controllers.EndpointsOptions{})
		DeferCleanup(func() {
			stopControllers()
			startControllers(controllers.EndpointsAll)
		})
		s := newScene(ctx)
		s.service("web", func(spec *corev1.ServiceSpec) {
			spec.TrafficDistribution = new(corev1.ServiceTrafficDistributionPreferSameZone)
		})
		s.pod("web-1", "web", "1")
		Eventually(s.endpoints("web")).Should(HaveLen(1))
		for _, name := range []string{
			"endpoint_slice_controller_endpoints_added_per_sync_count", "endpoint_slice_controller_endpoints_removed_per_sync_count",
			"endpoint_slice_controller_endpoints_desired", "endpoint_slice_controller_num_endpoint_slices",
			"endpoint_slice_controller_desired_endpoint_slices", `endpoint_slice_controller_changes{operation="create"}`,
			`endpoint_slice_controller_endpointslices_changed_per_sync_count{topology="Disabled",traffic_distribution="PreferSameZone"}`,
			`endpoint_slice_controller_syncs{result="success"}`,
			`endpoint_slice_controller_services_count_by_traffic_distribution{traffic_distribution="PreferSameZone"}`,
			`endpoint_slice_mirroring_controller_changes{operation="create"}`, "endpoint_slice_mirroring_controller_addresses_skipped_per_sync_count",
		} {
			Eventually(func() (string, error) {
				request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
				if err != nil {
					return "", err
				}
				answer, err := http.DefaultClient.Do(request)
				if err != nil {
					return "", err
				}
				defer func() { _ = answer.Body.Close() }()
				text, err := io.ReadAll(answer.Body)
				return string(text), err
			}).Should(ContainSubstring("\n" + name + " "))
		}
	})
})
