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
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// dryRuns are the rows about requests that only ask what would happen.
func dryRuns(s *scene) {
	It("answers a dry-run with what it would give, and keeps nothing", func(ctx SpecContext) {
		others := service("others", corev1.ServiceTypeNodePort, 30016, 30017, 30018)
		s.create(ctx, others)
		s.observed(others)
		before, counted := s.state(ctx), s.writes(ctx)
		for range 3 {
			web := service("web", corev1.ServiceTypeNodePort, 0)
			web.Spec.IPFamilyPolicy = new(requireDualStack)
			Expect(s.admin.Create(ctx, web, client.DryRunAll)).To(Succeed())
			if s.stock() {
				Expect(nodePortsOf(web)).To(Equal([]int32{stockDryRunPort}))
				Expect(web.Spec.ClusterIPs).To(Equal([]string{stockDryRunAddress, "fd00:10::"}))
				continue
			}
			expectGiven(web)
			Expect(nodePortsOf(web)).To(Equal([]int32{30019}), "the only free port of the dynamic band")
			Expect(web.Spec.ClusterIPs).To(HaveLen(2))
		}
		Expect(s.state(ctx)).To(Equal(before))
		Expect(s.writes(ctx)).To(Equal(counted))
		if !s.stock() {
			Expect(s.allocated()).To(Equal(5), "addresses of default/kubernetes and others, three ports")
		}
	})

	It("answers the dry-run of an update with what it would give, and keeps nothing", func(ctx SpecContext) {
		web := service("web", corev1.ServiceTypeClusterIP, 0)
		s.create(ctx, web)
		s.observed(web)
		before := s.state(ctx)
		changed := local(web.DeepCopy(), 0)
		changed.Spec.IPFamilyPolicy = new(requireDualStack)
		Expect(s.admin.Update(ctx, changed, client.DryRunAll)).To(Succeed())
		Expect(changed.Spec.ClusterIPs).To(HaveLen(2))
		Expect(changed.Spec.ClusterIP).To(Equal(web.Spec.ClusterIP))
		if s.stock() {
			Expect(nodePortsOf(changed)).To(Equal([]int32{stockDryRunPort}))
			Expect(changed.Spec.HealthCheckNodePort).To(BeEquivalentTo(stockDryRunPort + 1))
			Expect(changed.Spec.ClusterIPs[1]).To(Equal("fd00:10::"))
		} else {
			expectGiven(changed)
			Expect(changed.Spec.HealthCheckNodePort).To(And(BeNumerically(">=", 30000), BeNumerically("<=", 30019), Not(Equal(nodePortsOf(changed)[0]))))
		}
		Expect(s.admin.Delete(ctx, web, client.DryRunAll)).To(Succeed())
		Expect(s.state(ctx)).To(Equal(before))
	})

	It("sees a collision in a dry-run", func(ctx SpecContext) {
		first := at(service("first", corev1.ServiceTypeNodePort, 30003), "10.0.0.9")
		s.create(ctx, first)
		s.observed(first)
		ours := "spec.ports[0].nodePort: Invalid value: 30003: held by Service team-a/first"
		refusal(s.admin.Create(ctx, service("web", corev1.ServiceTypeNodePort, 30003), client.DryRunAll),
			s.answer("provided port is already allocated", ours, ours))
		err := s.admin.Create(ctx, at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.0.9"), client.DryRunAll)
		if s.stock() {
			Expect(err).NotTo(HaveOccurred(), "the server looks only whether an address is in range")
		} else {
			refusal(err, "\"10.0.0.9\": held by Service team-a/first")
		}
		refusal(s.admin.Create(ctx, at(service("web", corev1.ServiceTypeClusterIP, 0), "10.9.9.9"), client.DryRunAll),
			s.answer("failed to allocate IP 10.9.9.9: ", "\"10.9.9.9\": not in 10.0.0.0/27", "\"10.9.9.9\": not in 10.0.0.0/27"))
	})

	It("gives what a dry-run has told when nothing happened in between", func(ctx SpecContext) {
		others := service("others", corev1.ServiceTypeNodePort, 30016, 30017, 30018)
		s.create(ctx, others)
		s.observed(others)
		web := service("web", corev1.ServiceTypeNodePort, 0)
		Expect(s.admin.Create(ctx, web, client.DryRunAll)).To(Succeed())
		told := nodePortsOf(web)
		web = service("web", corev1.ServiceTypeNodePort, 0)
		s.create(ctx, web)
		Expect(nodePortsOf(web)).To(Equal([]int32{30019}))
		if !s.stock() {
			Expect(told).To(Equal(nodePortsOf(web)))
		}
	})
}

// state is every object that an allocation could write, by name and version.
func (s *scene) state(ctx context.Context) map[string]string {
	GinkgoHelper()
	state := map[string]string{}
	var services corev1.ServiceList
	var addresses networkingv1.IPAddressList
	var leases coordinationv1.LeaseList
	Expect(s.admin.List(ctx, &services)).To(Succeed())
	Expect(s.admin.List(ctx, &addresses)).To(Succeed())
	Expect(s.admin.List(ctx, &leases, client.InNamespace(systemNamespace))).To(Succeed())
	for _, o := range services.Items {
		state["Service "+o.Namespace+"/"+o.Name] = o.ResourceVersion
	}
	for _, o := range addresses.Items {
		state["IPAddress "+o.Name] = o.ResourceVersion
	}
	for _, o := range leases.Items {
		state["Lease "+o.Name] = o.ResourceVersion
	}
	return state
}
