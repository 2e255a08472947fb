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
)

// healthChecks are the rows about what load balancers need.
func healthChecks(s *scene) {
	It("gives a health check port of the range of NodePorts", func(ctx SpecContext) {
		lb := local(service("lb", corev1.ServiceTypeLoadBalancer, 30003), 30004)
		s.create(ctx, lb)
		Expect(lb.Spec.HealthCheckNodePort).To(BeEquivalentTo(30004))
		s.observed(lb)
		ours := "30004: held by Service team-a/lb"
		refusal(s.admin.Create(ctx, service("web", corev1.ServiceTypeNodePort, 30004)), s.answer("provided port is already allocated", ours, ours))

		lb.Spec.HealthCheckNodePort = 30005
		refusal(s.admin.Update(ctx, lb.DeepCopy()), "spec.healthCheckNodePort: Forbidden: field is immutable")
		lb.Spec.HealthCheckNodePort = 0 // left out, it is carried over
		s.update(ctx, lb)
		Expect(lb.Spec.HealthCheckNodePort).To(BeEquivalentTo(30004))

		lb.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyCluster
		s.update(ctx, lb)
		Expect(lb.Spec.HealthCheckNodePort).To(BeZero())
		s.free(ctx, port(30004))

		lb.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		s.update(ctx, lb)
		Expect(lb.Spec.HealthCheckNodePort).To(And(BeNumerically(">=", 30000), BeNumerically("<=", 30019), Not(BeEquivalentTo(30003))))
		had := lb.Spec.HealthCheckNodePort
		Expect(s.admin.Delete(ctx, lb)).To(Succeed())
		s.free(ctx, port(had), port(30003))
	})

	It("gives no health check port to other Services", func(ctx SpecContext) {
		lb, web := service("lb", corev1.ServiceTypeLoadBalancer, 0), service("web", corev1.ServiceTypeNodePort, 0)
		web.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		s.create(ctx, lb)
		s.create(ctx, web)
		Expect(lb.Spec.HealthCheckNodePort).To(BeZero())
		Expect(web.Spec.HealthCheckNodePort).To(BeZero())
	})

	It("names the holder of a health check port, with the status of an invalid request", func(ctx SpecContext) {
		web := service("web", corev1.ServiceTypeNodePort, 30004)
		s.create(ctx, web)
		s.observed(web)
		ours := "spec.healthCheckNodePort: Invalid value: 30004: held by Service team-a/web; free: "
		status := refusal(s.admin.Create(ctx, local(service("lb", corev1.ServiceTypeLoadBalancer, 30003), 30004)), s.answer(
			"failed to allocate requested HealthCheck NodePort 30004: provided port is already allocated", ours, ours))
		Expect(status.Code).To(BeEquivalentTo(s.code(500, 422, 422)))
		s.free(ctx, port(30003))
	})

	It("leaves it to the server that a health check port is not one of the Service's own NodePorts", func(ctx SpecContext) {
		status := refusal(s.admin.Create(ctx, local(service("lb", corev1.ServiceTypeLoadBalancer, 30003), 30003)),
			"failed to allocate requested HealthCheck NodePort 30003: provided port is already allocated")
		Expect(status.Code).To(BeEquivalentTo(500))
		s.free(ctx, port(30003))
	})

	It("gives no NodePorts to a load balancer that wants none", func(ctx SpecContext) {
		lb := local(service("lb", corev1.ServiceTypeLoadBalancer, 0, 30003), 0)
		lb.Spec.AllocateLoadBalancerNodePorts = new(false)
		s.create(ctx, lb)
		Expect(nodePortsOf(lb)).To(Equal([]int32{0, 30003}), "what is asked for is honoured all the same")
		Expect(lb.Spec.HealthCheckNodePort).NotTo(BeZero())
	})

	It("keeps NodePorts that are sent again when allocation is turned off, and releases those left out", func(ctx SpecContext) {
		lb := service("lb", corev1.ServiceTypeLoadBalancer, 0, 0)
		s.create(ctx, lb)
		given := nodePortsOf(lb)
		lb.Spec.AllocateLoadBalancerNodePorts = new(false)
		s.update(ctx, lb)
		Expect(nodePortsOf(lb)).To(Equal(given))
		lb.Spec.Ports[0].NodePort = 0
		s.update(ctx, lb)
		Expect(nodePortsOf(lb)).To(Equal([]int32{0, given[1]}))
		s.free(ctx, port(given[0]))
		lb.Spec.AllocateLoadBalancerNodePorts = new(true)
		s.update(ctx, lb)
		expectGiven(lb)
		Expect(nodePortsOf(lb)[1]).To(Equal(given[1]))
	})
}
