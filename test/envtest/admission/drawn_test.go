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

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("A node port that the API server drew and that a pod uses on a node", func() {
	It("is given with a warning, as pods could keep every namespace from its ports otherwise", func() {
		manager := start()
		DeferCleanup(manager.stop)
		expectDrawnPortsTold("edge-66")
	})
})

// expectDrawnPortsTold has every node port taken on a node, and asks for any
// and for one. Who draws is up to the manager that runs.
func expectDrawnPortsTold(node string) {
	GinkgoHelper()
	namespace := newNamespace(nil)
	var every []int32
	for port := int32(30000); port <= 32767; port++ {
		every = append(every, port)
	}
	hog := startPod(namespace, "hog", node, "10.99.0.66", every...)
	DeferCleanup(func() {
		Expect(client.IgnoreNotFound(api.Delete(context.Background(), hog, client.GracePeriodSeconds(0)))).To(Succeed())
	})
	public := func() *corev1.Service { return makeService(namespace, "public").nodePort(0).Service }
	asked := public()
	asked.Spec.Ports[0].NodePort = portNobodyAskedFor()
	Eventually(dryRun).WithArguments(asked).Should(beRefused("ask for another port", "rule X6"))
	Expect(create(asked)).To(beRefused("spec.ports[0].nodePort", "/TCP", "ask for another port"))
	told := func(path string, do func() error) {
		GinkgoHelper()
		Expect(warnings.during(do)).To(ConsistOf(And(HavePrefix(path), ContainSubstring("make the Service again to be given another"), ContainSubstring("rule X6"))))
	}
	told("spec.ports[0].nodePort", func() error { return create(public()) })

	health := makeService(namespace, "health").balanced().Service
	health.Spec.AllocateLoadBalancerNodePorts = new(false)
	health.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	told("spec.healthCheckNodePort", func() error { return create(health) })

	By("for a port that an update adds")
	web := makeService(namespace, "web").Service
	Expect(create(web)).To(Succeed())
	web.Spec.Type = corev1.ServiceTypeNodePort
	asked = web.DeepCopy()
	asked.Spec.Ports[0].NodePort = portNobodyAskedFor()
	Expect(api.Update(context.Background(), asked)).To(beRefused("/TCP", "ask for another port"))
	// As somebody else: of two changes in one second by one manager the server's notes are the same.
	told("spec.ports[0].nodePort", func() error { return api.Update(context.Background(), web, client.FieldOwner("another")) })

	Expect(api.Delete(context.Background(), hog, client.GracePeriodSeconds(0))).To(Succeed())
	Eventually(func() ([]string, error) {
		return warnings.during(func() error {
			return api.Create(context.Background(), makeService(namespace, "later").nodePort(0).Service, client.DryRunAll)
		})
	}).Should(BeEmpty())
}

var lastAsked int32 = 30069

// portNobodyAskedFor is another each time: the API server may keep what it has
// allocated for a request that was refused afterwards (see docs/allocation.md).
func portNobodyAskedFor() int32 {
	lastAsked++
	return lastAsked
}
