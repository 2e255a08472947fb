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

package allocation

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
)

// full are the rows about ranges that are too small for bands, and run out.
func full(s *scene) {
	It("has no static band in 16 addresses, nor in 16 ports", func(ctx SpecContext) {
		low := map[string]bool{}
		for i := 0; len(low) < 2 && i < 40; i++ {
			web := service("web", corev1.ServiceTypeNodePort, 0)
			s.create(ctx, web)
			if ip := web.Spec.ClusterIP; len(ip) == len("10.0.0.7") && ip < "10.0.0.8" {
				low["address"] = true
			}
			if web.Spec.Ports[0].NodePort < 30008 {
				low["port"] = true
			}
			Expect(s.admin.Delete(ctx, web)).To(Succeed())
		}
		Expect(low).To(HaveLen(2), "none was ever drawn from the lower half: %v", low)
	})

	It("gives every address but two, and says when they are full", func(ctx SpecContext) {
		var held []*corev1.Service
		for i := range 13 { // .1 is the server's own
			web := service(fmt.Sprintf("web-%d", i), corev1.ServiceTypeClusterIP, 0)
			s.create(ctx, web)
			s.observed(web)
			held = append(held, web)
		}
		theirs := "failed to allocate a serviceIP for Service \"late\": range is full"
		late := service("late", corev1.ServiceTypeNodePort, 30003)
		status := refusal(s.admin.Create(ctx, late.DeepCopy()),
			s.answer(theirs, theirs, "spec.clusterIPs[0]: Forbidden: no number is free in 10.0.0.0/28"))
		Expect(status.Code).To(BeEquivalentTo(s.code(500, 500, 422)))
		ours := "held by Service team-a/web-0; none is free"
		refusal(s.admin.Create(ctx, at(late.DeepCopy(), held[0].Spec.ClusterIP)), s.answer("provided IP is already allocated", ours, ours))

		external := become(service("external", "", 0), corev1.ServiceTypeExternalName)
		s.create(ctx, external) // needs none
		s.create(ctx, become(service("headless", "", 0), headless))
		refusal(s.admin.Update(ctx, become(external, corev1.ServiceTypeClusterIP)),
			s.answer("range is full", "range is full", "no number is free in 10.0.0.0/28"))
		Expect(s.admin.Delete(ctx, held[5])).To(Succeed())
		s.create(ctx, late) // its port is not lost to the attempts above
		Expect(late.Spec.ClusterIP).To(Equal(held[5].Spec.ClusterIP))
	})

	It("gives every port, and says when they are full", func(ctx SpecContext) {
		all := at(service("all", corev1.ServiceTypeNodePort, make([]int32, 16)...), "10.0.0.5")
		s.create(ctx, all)
		s.observed(all)
		given := map[int32]bool{}
		for _, number := range nodePortsOf(all) {
			given[number] = true
		}
		Expect(given).To(HaveLen(16))

		ours := "spec.ports[0].nodePort: Forbidden: no number is free in 30000-30015"
		theirs := "failed to allocate a nodePort: range is full"
		late := at(service("late", corev1.ServiceTypeNodePort, 0), "10.0.0.9")
		status := refusal(s.admin.Create(ctx, late.DeepCopy()), s.answer(theirs, theirs, ours))
		Expect(status.Code).To(BeEquivalentTo(s.code(500, 500, 422)))
		late.Spec.Ports[0].NodePort = 30003
		held := "30003: held by Service team-a/all; none is free"
		refusal(s.admin.Create(ctx, late.DeepCopy()), s.answer("provided port is already allocated", held, held))

		lb := local(service("late", corev1.ServiceTypeLoadBalancer, 0), 0)
		lb.Spec.AllocateLoadBalancerNodePorts = new(false)
		theirs = "failed to allocate a HealthCheck NodePort 0: range is full"
		status = refusal(s.admin.Create(ctx, lb), s.answer(theirs, theirs, "spec.healthCheckNodePort: Forbidden: no number is free in 30000-30015"))
		Expect(status.Code).To(BeEquivalentTo(s.code(500, 500, 422)))

		plain := at(service("plain", corev1.ServiceTypeClusterIP, 0), "10.0.0.9") // not lost to the attempts above
		s.create(ctx, plain)
		refusal(s.admin.Update(ctx, become(plain.DeepCopy(), corev1.ServiceTypeNodePort)), s.answer("range is full", "range is full", ours))
		Expect(s.reread(ctx, plain).Spec.Type).To(Equal(corev1.ServiceTypeClusterIP))
	})
}
