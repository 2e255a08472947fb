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
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// updates are the rows about what a change keeps.
func updates(s *scene) {
	It("keeps the numbers of an update that leaves them out", func(ctx SpecContext) {
		web := local(service("web", corev1.ServiceTypeLoadBalancer, 0, 0), 0)
		s.create(ctx, web)
		again := local(service("web", corev1.ServiceTypeLoadBalancer, 0, 0, 0), 0) // one port more
		again.ResourceVersion = web.ResourceVersion
		s.update(ctx, again)
		Expect(nodePortsOf(again)[:2]).To(Equal(nodePortsOf(web)))
		Expect(again.Spec.ClusterIPs).To(Equal(web.Spec.ClusterIPs))
		Expect(again.Spec.HealthCheckNodePort).To(Equal(web.Spec.HealthCheckNodePort))
		Expect(nodePortsOf(web)).NotTo(ContainElement(again.Spec.Ports[2].NodePort))
		expectGiven(again)
	})

	It("carries NodePorts over by the name of the port", func(ctx SpecContext) {
		web := service("web", corev1.ServiceTypeNodePort, 30003, 30004, 30005)
		s.create(ctx, web)
		again := service("web", corev1.ServiceTypeNodePort, 0, 0, 0)
		again.Spec.Ports[0], again.Spec.Ports[1] = again.Spec.Ports[1], again.Spec.Ports[0] // another order
		again.Spec.Ports[0].Port = 8081                                                     // another port
		again.Spec.Ports[2].Name = "renamed"
		s.update(ctx, again)
		Expect(nodePortsOf(again)[:2]).To(Equal([]int32{30004, 30003}))
		expectGiven(again)
		Expect(again.Spec.Ports[2].NodePort).NotTo(BeElementOf(int32(0), int32(30003), int32(30004)))
		if again.Spec.Ports[2].NodePort != 30005 {
			s.free(ctx, port(30005))
		}
	})

	It("lets the ports of a Service swap their numbers, or one take another's", func(ctx SpecContext) {
		web := service("web", corev1.ServiceTypeNodePort, 30003, 30004)
		s.create(ctx, web)
		s.observed(web)
		again := service("web", corev1.ServiceTypeNodePort, 30004, 30003)
		s.update(ctx, again)
		Expect(nodePortsOf(again)).To(Equal([]int32{30004, 30003}))
		// p0 takes the number of p1, which is left without one and gets another.
		again = service("web", corev1.ServiceTypeNodePort, 30003, 0)
		s.update(ctx, again)
		Expect(again.Spec.Ports[0].NodePort).To(BeEquivalentTo(30003))
		Expect(again.Spec.Ports[1].NodePort).NotTo(BeElementOf(int32(0), int32(30003)))
		expectGiven(again)
		s.expectClaims(ctx, addr(again.Spec.ClusterIP), port(30003), port(30004), port(again.Spec.Ports[1].NodePort))
		if again.Spec.Ports[1].NodePort != 30004 {
			s.free(ctx, port(30004))
		}
	})

	It("denies an update to a port that another Service holds", func(ctx SpecContext) {
		first, second := service("first", corev1.ServiceTypeNodePort, 30003), service("second", corev1.ServiceTypeNodePort, 30004)
		s.create(ctx, first)
		s.create(ctx, second)
		s.observed(first, second)
		second.Spec.Ports[0].NodePort = 30003
		ours := "spec.ports[0].nodePort: Invalid value: 30003: held by Service team-a/first"
		refusal(s.admin.Update(ctx, second.DeepCopy()),
			s.answer("spec.ports[0].nodePort: Invalid value: 30003: provided port is already allocated", ours, ours))
		s.taken(ctx, port(30004))
		second.Spec.Ports[0].NodePort = 30004
		second.Labels = map[string]string{"changed": "yes"}
		s.update(ctx, second) // its own port is no collision
	})

	It("reserves explicit ports of an update before it draws automatic ones", func(ctx SpecContext) {
		others, web := service("others", corev1.ServiceTypeNodePort, 30016, 30017, 30018), service("web", corev1.ServiceTypeNodePort, 30003)
		s.create(ctx, others)
		s.create(ctx, web)
		s.observed(others, web)
		web.Spec.Ports = service("web", corev1.ServiceTypeNodePort, 30003, 0, 30019).Spec.Ports
		err := s.admin.Update(ctx, web)
		if s.stock() {
			refusal(err, "spec.ports[2].nodePort: Invalid value: 30019: provided port is already allocated")
			return
		}
		Expect(err).NotTo(HaveOccurred())
		Expect(nodePortsOf(web)[2]).To(BeEquivalentTo(30019))
		expectGiven(web)
	})

	It("changes nothing about the numbers of an update that fails", func(ctx SpecContext) {
		web := service("web", corev1.ServiceTypeNodePort, 30003)
		s.create(ctx, web)
		broken := web.DeepCopy()
		broken.Spec.Ports[0].NodePort, broken.Spec.SessionAffinity = 30004, "Sometimes"
		refusal(s.admin.Update(ctx, broken), "spec.sessionAffinity: Unsupported value")
		s.free(ctx, port(30004))
		s.taken(ctx, port(30003))
	})

	It("takes back all numbers of a create that fails", func(ctx SpecContext) {
		broken := local(at(service("web", corev1.ServiceTypeLoadBalancer, 30003), "10.0.0.9", "fd00:10::9"), 30004)
		broken.Spec.SessionAffinity = "Sometimes"
		refusal(s.admin.Create(ctx, broken), "spec.sessionAffinity: Unsupported value")
		s.free(ctx, port(30003), port(30004), addr("10.0.0.9"), addr("fd00:10::9"))
	})

	It("keeps the primary ClusterIP for good", func(ctx SpecContext) {
		web := at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.0.9")
		s.create(ctx, web)
		moved := at(web.DeepCopy(), "10.0.0.10")
		refusal(s.admin.Update(ctx, moved), "may not change once set")
		s.free(ctx, addr("10.0.0.10"))
		other := web.DeepCopy()
		Expect(s.admin.Patch(ctx, other, client.RawPatch("application/merge-patch+json", []byte(
			"{\"spec\":{\"ipFamilies\":[\"IPv6\"],\"clusterIP\":null,\"clusterIPs\":null}}")))).NotTo(Succeed())
		Expect(s.reread(ctx, web).Spec.ClusterIPs).To(Equal([]string{"10.0.0.9"}))
	})
}
