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

package admission

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("Large requests", Ordered, func() {
	It("are judged however large they are", func() {
		manager := start()
		DeferCleanup(manager.stop)
		namespace := newNamespace(map[string]string{"rule.switchyard.dev/S6": "off"})
		startPod(newNamespace(nil), "secret-db", "edge-170", "10.99.0.170")
		tenant := tenantOf(namespace)
		Eventually(dryRunAs).WithArguments(tenant, makeEndpoints(namespace, "probe", "10.99.0.170")).Should(beRefused("rule X9"))

		By("with 1.5 MB in the storage, which is 4 MB in JSON and twice that in the review of an update")
		large := makeEndpoints(namespace, "large", "192.0.2.170")
		large.Subsets = nil
		for i := range 6 {
			subset := corev1.EndpointSubset{Addresses: []corev1.EndpointAddress{{IP: fmt.Sprintf("192.0.2.%d", 171+i)}}}
			for range 16_500 {
				subset.Ports = append(subset.Ports, corev1.EndpointPort{Name: "aaaa", Port: 1})
			}
			large.Subsets = append(large.Subsets, subset)
		}
		Eventually(func() error { return tenant.Create(context.Background(), large.DeepCopy()) }).Should(Succeed())
		Expect(api.Get(context.Background(), client.ObjectKeyFromObject(large), large)).To(Succeed())
		large.Subsets = append(large.Subsets, makeEndpoints(namespace, "large", "10.99.0.170").Subsets...)
		// On a busy machine the API server itself may take the webhook's 3 s.
		Eventually(func() error {
			return tenant.Update(context.Background(), large.DeepCopy(), client.DryRunAll)
		}).Should(beRefused("rule X9"))
	})
})
