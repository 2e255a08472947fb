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

package loadbalancer

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

var _ = Describe("A node that reads the status", Serial, func() {
	It("knows the addresses that are from a pool, and those that another controller has put in their place", func(ctx SpecContext) {
		s := newScene(ctx)
		alone()
		m := newLead(nil)
		DeferCleanup(m.stop)
		s.pool("one", s.range4(1, 9)+" "+s.range6(1, 9))
		s.service("a", requireDual)
		pooled := func() bool {
			store := model.NewStore(model.Options{})
			store.SetService(s.get("a"))
			port, ok := store.ServicePort(model.ServicePortName{Namespace: s.namespace, Name: "a", Port: "a", Protocol: model.TCP})
			return ok && port.Pooled
		}
		Expect(pooled()).To(BeFalse())
		Eventually(s.state("a")).Should(Equal(s.v4(1) + "+" + s.v6(1)))
		Expect(pooled()).To(BeTrue())

		By("an update of the Service itself")
		s.update("a", func(service *corev1.Service) { service.Labels = map[string]string{"tier": "front"} })
		Expect(pooled()).To(BeTrue())

		By("somebody else's write while nobody sets it right")
		m.stop()
		now := s.get("a")
		before := now.DeepCopy()
		now.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "203.0.113.1"}}
		Expect(admin.Status().Patch(ctx, now, client.MergeFrom(before))).To(Succeed())
		Expect(pooled()).To(BeFalse())

		By("it being set right")
		again := newLead(nil)
		DeferCleanup(again.stop)
		Eventually(s.state("a")).Should(Equal(s.v4(1) + "+" + s.v6(1)))
		Expect(pooled()).To(BeTrue())
	})
})
