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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/allocator"
)

// ports are the rows about NodePorts of Services that are created.
func ports(s *scene) {
	It("gives numbers to a Service that asks for none in particular", func(ctx SpecContext) {
		web := service("web", corev1.ServiceTypeNodePort, 0, 0)
		s.create(ctx, web)
		expectGiven(web)
		Expect(web.Spec.Ports[0].NodePort).NotTo(Equal(web.Spec.Ports[1].NodePort))
		if s.mode == allocator.Authoritative {
			Expect(s.claims(ctx)).To(ConsistOf("clusterip-"+web.Spec.ClusterIP,
				fmt.Sprintf("nodeport-%d", web.Spec.Ports[0].NodePort), fmt.Sprintf("nodeport-%d", web.Spec.Ports[1].NodePort)))
		} else {
			Expect(s.claims(ctx)).To(BeEmpty(), "the server's own choices need no claim")
		}
	})

	It("gives numbers to Services whose names the server generates", func(ctx SpecContext) {
		for range 3 {
			web := service("", corev1.ServiceTypeNodePort, 0)
			web.GenerateName = "web-"
			s.create(ctx, web)
			Expect(web.Name).To(HavePrefix("web-"))
			expectGiven(web)
		}
		fixed := service("", corev1.ServiceTypeNodePort, 30003)
		fixed.GenerateName = "web-"
		s.create(ctx, fixed)
		s.observed(fixed)
		again := service("", corev1.ServiceTypeNodePort, 30003)
		again.GenerateName = "web-"
		ours := "30003: held by Service team-a/" + fixed.Name
		refusal(s.admin.Create(ctx, again), s.answer("provided port is already allocated", ours, ours))
	})

	It("honours explicit numbers", func(ctx SpecContext) {
		web := at(service("web", corev1.ServiceTypeNodePort, 30003), "10.0.0.7")
		s.create(ctx, web)
		Expect(nodePortsOf(web)).To(Equal([]int32{30003}))
		Expect(web.Spec.ClusterIPs).To(Equal([]string{"10.0.0.7"}))
		s.expectClaims(ctx, numbersOf(web)...)
	})

	It("gives NodePorts of the dynamic band while it lasts, then of the static one", func(ctx SpecContext) {
		var given []int32
		for i := range 5 {
			web := service(fmt.Sprintf("web-%d", i), corev1.ServiceTypeNodePort, 0, 0, 0, 0)
			s.create(ctx, web)
			s.observed(web)
			given = append(given, nodePortsOf(web)...)
		}
		Expect(given[:4]).To(ConsistOf(int32(30016), int32(30017), int32(30018), int32(30019)))
		Expect(given[4:]).To(HaveEach(BeNumerically("<", 30016)))

		status := refusal(s.admin.Create(ctx, service("late", corev1.ServiceTypeNodePort, 0)), s.answer(
			"failed to allocate a nodePort: range is full", "failed to allocate a nodePort: range is full",
			"spec.ports[0].nodePort: Forbidden: no number is free in 30000-30019"))
		Expect(status.Code).To(BeEquivalentTo(s.code(500, 500, 422)))
		ours := "spec.ports[0].nodePort: Invalid value: 30003: held by Service team-a/web-"
		status = refusal(s.admin.Create(ctx, service("late", corev1.ServiceTypeNodePort, 30003)),
			s.answer("provided port is already allocated", ours, ours))
		if !s.stock() {
			Expect(status.Message).To(ContainSubstring("none is free"))
		}
		s.create(ctx, service("late", corev1.ServiceTypeClusterIP, 0))
	})

	It("names the holder of a NodePort and offers free ones", func(ctx SpecContext) {
		first := service("first", corev1.ServiceTypeNodePort, 30003)
		s.create(ctx, first)
		s.observed(first)
		ours := "spec.ports[0].nodePort: Invalid value: 30003: held by Service team-a/first; free: 30004-30019, 30000-30002"
		status := refusal(s.admin.Create(ctx, service("second", corev1.ServiceTypeNodePort, 30003)),
			s.answer("spec.ports[0].nodePort: Invalid value: 30003: provided port is already allocated", ours, ours))
		Expect(status.Code).To(BeEquivalentTo(422))
		Expect(status.Reason).To(Equal(metav1.StatusReasonInvalid))
		Expect(status.Details.Causes).To(HaveLen(1))
		Expect(status.Details.Causes[0].Field).To(Equal("spec.ports[0].nodePort"))
	})

	It("says where a NodePort should lie", func(ctx SpecContext) {
		theirs := "provided port is not in the valid range. The range of valid ports is 30000-30019"
		status := refusal(s.admin.Create(ctx, service("far", corev1.ServiceTypeNodePort, 31000)),
			"spec.ports[0].nodePort: Invalid value: 31000: "+s.answer(theirs, theirs, "not in 30000-30019"))
		Expect(status.Code).To(BeEquivalentTo(422))
	})

	It("gives one number to one Service, whatever the protocols", func(ctx SpecContext) {
		tcp, udp := service("tcp", corev1.ServiceTypeNodePort, 30003), service("udp", corev1.ServiceTypeNodePort, 30003)
		udp.Spec.Ports[0].Protocol = corev1.ProtocolUDP
		s.create(ctx, tcp)
		s.observed(tcp)
		ours := "30003: held by Service team-a/tcp"
		refusal(s.admin.Create(ctx, udp), s.answer("provided port is already allocated", ours, ours))
	})

	It("lets TCP, UDP and SCTP of one port share a NodePort, automatic or asked for", func(ctx SpecContext) {
		for _, asked := range [][]int32{{0, 0, 0}, {30003, 30003, 30003}, {0, 30003, 0}} {
			dns := service("dns", corev1.ServiceTypeNodePort, asked...)
			allProtocols(dns)
			s.create(ctx, dns)
			expectGiven(dns)
			given := nodePortsOf(dns)
			Expect(given).To(HaveEach(given[0]))
			if asked[1] != 0 {
				Expect(given[0]).To(BeEquivalentTo(30003))
			}
			Expect(s.admin.Delete(ctx, dns)).To(Succeed())
			s.free(ctx, port(given[0]))
		}
	})

	It("lets ports of different numbers share a NodePort on update only", func(ctx SpecContext) {
		web := service("web", corev1.ServiceTypeNodePort, 30003, 30003)
		web.Spec.Ports[1].Protocol = corev1.ProtocolUDP
		refusal(s.admin.Create(ctx, web), "spec.ports[1].nodePort: Invalid value: 30003: provided port is already allocated")
		web.Spec.Ports[1].NodePort = 30004
		s.create(ctx, web)
		web.Spec.Ports[1].NodePort = 30003
		s.update(ctx, web)
		s.free(ctx, port(30004))
	})

	It("gives each protocol a number of its own where an update adds it", func(ctx SpecContext) {
		dns := service("dns", corev1.ServiceTypeNodePort, 0)
		s.create(ctx, dns)
		had := dns.Spec.Ports[0].NodePort
		dns.Spec.Ports = service("dns", corev1.ServiceTypeNodePort, had, 0, 0).Spec.Ports
		allProtocols(dns)
		s.update(ctx, dns)
		expectGiven(dns)
		given := nodePortsOf(dns)
		Expect(given[0]).To(Equal(had))
		Expect(given[1:]).NotTo(ContainElement(had))
		Expect(given[1]).NotTo(Equal(given[2]))
		// Asked for by number they may share one, on update too.
		dns.Spec.Ports[1].NodePort, dns.Spec.Ports[2].NodePort = had, had
		s.update(ctx, dns)
		Expect(nodePortsOf(dns)).To(HaveEach(had))
		s.free(ctx, port(given[1]), port(given[2]))
	})

	It("reserves explicit ports before it draws automatic ones", func(ctx SpecContext) {
		// Only 30019 is left of the dynamic band: what is drawn first is that one.
		others := service("others", corev1.ServiceTypeNodePort, 30016, 30017, 30018)
		s.create(ctx, others)
		s.observed(others)
		mixed := service("mixed", corev1.ServiceTypeNodePort, 0, 30019)
		err := s.admin.Create(ctx, mixed)
		if s.stock() {
			refusal(err, "spec.ports[1].nodePort: Invalid value: 30019: provided port is already allocated")
			s.free(ctx, port(30019))
			return
		}
		Expect(err).NotTo(HaveOccurred())
		Expect(mixed.Spec.Ports[1].NodePort).To(BeEquivalentTo(30019))
		expectGiven(mixed)
		Expect(mixed.Spec.Ports[0].NodePort).To(BeNumerically("<", 30016))
	})

	It("writes nothing for a request that is refused because of a number", func(ctx SpecContext) {
		first := service("first", corev1.ServiceTypeNodePort, 30003)
		s.create(ctx, first)
		s.observed(first)
		late := at(service("late", corev1.ServiceTypeNodePort, 30003, 30004), "10.0.0.9")
		turned := at(service("late", corev1.ServiceTypeNodePort, 30004, 30003), "10.0.0.9")
		want := writes{}
		if s.stock() { // the address twice, made and deleted; 30004 once, allocated and released
			want = writes{addresses: 4, ports: 2}
		}
		Eventually(func() writes { // The server's repair may write beside it.
			before := s.writes(ctx)
			Expect(s.admin.Create(ctx, late.DeepCopy())).NotTo(Succeed())
			Expect(s.admin.Create(ctx, turned.DeepCopy())).NotTo(Succeed())
			return s.writes(ctx).since(before)
		}).Should(Equal(want))
		s.free(ctx, port(30004), addr("10.0.0.9"))
	})
}

func allProtocols(s *corev1.Service) {
	for i, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP} {
		s.Spec.Ports[i].Port, s.Spec.Ports[i].Protocol = 53, protocol
	}
}
