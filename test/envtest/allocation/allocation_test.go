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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// The table of behaviour that both modes are held to.
func behaviour(mode allocator.Mode) {
	var running replica

	BeforeAll(func(ctx SpecContext) {
		running = startReplica(mode)
		Eventually(answersDryRun).WithArguments(ctx).Should(BeTrue(), "the webhook is not called")
	})
	AfterAll(func() { running.stop() })
	AfterEach(func(ctx SpecContext) { clean(ctx, running.index) })

	It("gives numbers to a Service that asks for none in particular", func(ctx SpecContext) {
		web := service("web", corev1.ServiceTypeNodePort, 0, 0)
		Expect(admin.Create(ctx, web)).To(Succeed())
		expectGiven(web)
		Expect(web.Spec.Ports[0].NodePort).NotTo(Equal(web.Spec.Ports[1].NodePort))
		if mode == allocator.Authoritative {
			Expect(claims(ctx)).To(ConsistOf("clusterip-"+web.Spec.ClusterIP,
				fmt.Sprintf("nodeport-%d", web.Spec.Ports[0].NodePort), fmt.Sprintf("nodeport-%d", web.Spec.Ports[1].NodePort)))
		} else {
			Expect(claims(ctx)).To(BeEmpty(), "the server's own choices need no claim")
		}
	})

	It("gives numbers to a Service whose name the server generates", func(ctx SpecContext) {
		web := service("", corev1.ServiceTypeNodePort, 0)
		web.GenerateName = "web-"
		Expect(admin.Create(ctx, web)).To(Succeed())
		expectGiven(web)
	})

	It("honours explicit numbers", func(ctx SpecContext) {
		web := service("web", corev1.ServiceTypeNodePort, 30003)
		web.Spec.ClusterIP = "10.0.0.77"
		Expect(admin.Create(ctx, web)).To(Succeed())
		Expect(nodePortsOf(web)).To(Equal([]int32{30003}))
		Expect(web.Spec.ClusterIPs).To(Equal([]string{"10.0.0.77"}))
	})

	It("names the holder of a NodePort and offers free ones", func(ctx SpecContext) {
		Expect(admin.Create(ctx, service("first", corev1.ServiceTypeNodePort, 30003))).To(Succeed())
		denied := denial(func() error { return admin.Create(ctx, service("second", corev1.ServiceTypeNodePort, 30003)) },
			"spec.ports[0].nodePort: Invalid value: 30003: held by Service team-a/first; free: 30004-30019, 30000-30002")
		Expect(denied.Reason).To(Equal(metav1.StatusReasonInvalid))
		Expect(denied.Details.Causes).To(HaveLen(1))
		Expect(denied.Details.Causes[0].Field).To(Equal("spec.ports[0].nodePort"))
	})

	It("names the holder of a ClusterIP and offers free ones", func(ctx SpecContext) {
		first, second := service("first", corev1.ServiceTypeClusterIP, 0), service("second", corev1.ServiceTypeClusterIP, 0)
		first.Spec.ClusterIP, second.Spec.ClusterIP = "10.0.0.7", "10.0.0.7"
		Expect(admin.Create(ctx, first)).To(Succeed())
		denial(func() error { return admin.Create(ctx, second.DeepCopy()) },
			`spec.clusterIPs[0]: Invalid value: "10.0.0.7": held by Service team-a/first; free: 10.0.0.8-10.0.0.254`)
	})

	It("does not name the holder to a tenant who may not read it", func(ctx SpecContext) {
		Expect(admin.Create(ctx, service("secret", corev1.ServiceTypeNodePort, 30003))).To(Succeed())
		theirs := service("theirs", corev1.ServiceTypeNodePort, 30003)
		theirs.Namespace = "team-b"
		bob := tenant(ctx, "bob", "team-b")
		denied := denial(func() error { return bob.Create(ctx, theirs.DeepCopy()) },
			"30003: held by a Service of another namespace; free: 30004-30019")
		Expect(denied.Message).NotTo(Or(ContainSubstring("secret"), ContainSubstring("team-a")))
	})

	It("says where a number should lie", func(ctx SpecContext) {
		Expect(admin.Create(ctx, service("far", corev1.ServiceTypeNodePort, 31000))).To(
			MatchError(And(ContainSubstring("spec.ports[0].nodePort: Invalid value: 31000"), ContainSubstring("30000-30019"))))
		far := service("far", corev1.ServiceTypeClusterIP, 0)
		far.Spec.ClusterIP = "10.9.9.9"
		Expect(admin.Create(ctx, far)).To(MatchError(ContainSubstring(`"10.9.9.9": not in 10.0.0.0/24`)))
	})

	It("answers a dry-run with what it would give, and keeps nothing", func(ctx SpecContext) {
		Expect(admin.Create(ctx, service("taken", corev1.ServiceTypeNodePort, 30016, 30017, 30018))).To(Succeed())
		Eventually(func() uint64 { return running.index.Stats()[0].Allocated }).Should(BeEquivalentTo(3))
		before := claims(ctx)
		for range 3 {
			web := service("web", corev1.ServiceTypeNodePort, 0)
			Expect(admin.Create(ctx, web, client.DryRunAll)).To(Succeed())
			expectGiven(web)
			Expect(nodePortsOf(web)).To(Equal([]int32{30019}), "the only free port of the dynamic band")
		}
		Expect(claims(ctx)).To(Equal(before))
		Expect(running.index.Stats()[0].Allocated).To(BeEquivalentTo(3))
		held := service("web", corev1.ServiceTypeClusterIP, 0)
		held.Spec.ClusterIP = "10.0.0.1"
		Expect(admin.Create(ctx, held, client.DryRunAll)).To(MatchError(ContainSubstring("held by Service default/kubernetes")))
	})

	It("reserves explicit ports before it draws automatic ones", func(ctx SpecContext) {
		for range 8 { // the server alone would fail three times out of four
			mixed := service("mixed", corev1.ServiceTypeNodePort, 0, 0, 0, 30017)
			Expect(admin.Create(ctx, mixed)).To(Succeed())
			Expect(nodePortsOf(mixed)[3]).To(BeEquivalentTo(30017))
			expectGiven(mixed)
			clean(ctx, running.index)
		}
	})

	It("lets TCP and UDP of one port share an automatic NodePort", func(ctx SpecContext) {
		dns := service("dns", corev1.ServiceTypeNodePort, 0, 0)
		dns.Spec.Ports[1].Protocol, dns.Spec.Ports[1].Port = corev1.ProtocolUDP, dns.Spec.Ports[0].Port
		Expect(admin.Create(ctx, dns)).To(Succeed())
		expectGiven(dns)
		Expect(dns.Spec.Ports[0].NodePort).To(Equal(dns.Spec.Ports[1].NodePort))
	})

	It("frees the numbers of a deleted Service, at once also for a fixed one", func(ctx SpecContext) {
		for range 5 {
			web := service("web", corev1.ServiceTypeNodePort, 30003)
			web.Spec.ClusterIP = "10.0.0.77"
			Expect(admin.Create(ctx, web)).To(Succeed())
			Expect(admin.Delete(ctx, web)).To(Succeed())
		}
		other := service("other", corev1.ServiceTypeNodePort, 30003)
		other.Spec.ClusterIP = "10.0.0.77"
		Expect(admin.Create(ctx, other)).To(Succeed())
	})

	It("answers AlreadyExists to the create of a Service that has the port itself", func(ctx SpecContext) {
		Expect(admin.Create(ctx, service("web", corev1.ServiceTypeNodePort, 30003))).To(Succeed())
		Eventually(func() []allocator.Holder { return running.index.Holders(allocator.PortNumber(30003)) }).Should(HaveLen(1))
		err := admin.Create(ctx, service("web", corev1.ServiceTypeNodePort, 30003))
		Expect(apierrors.IsAlreadyExists(err)).To(BeTrue(), "%v", err)
		err = admin.Create(ctx, service("web", corev1.ServiceTypeNodePort, 0))
		Expect(apierrors.IsAlreadyExists(err)).To(BeTrue(), "%v", err)
	})

	It("uses the static band when the dynamic one is full, and refuses when all is", func(ctx SpecContext) {
		for i := range 5 {
			Expect(admin.Create(ctx, service(fmt.Sprintf("web-%d", i), corev1.ServiceTypeNodePort, 0, 0, 0, 0))).To(Succeed())
		}
		Eventually(func() uint64 { return running.index.Stats()[0].Allocated }).Should(BeEquivalentTo(20))
		err := admin.Create(ctx, service("late", corev1.ServiceTypeNodePort, 0))
		Expect(err).To(MatchError(Or(ContainSubstring("range is full"), ContainSubstring("no number is free in 30000-30019"))))
		Expect(admin.Create(ctx, service("late", corev1.ServiceTypeNodePort, 30003))).To(MatchError(ContainSubstring("none is free")))
		Expect(admin.Create(ctx, service("late", corev1.ServiceTypeClusterIP, 0))).To(Succeed())
	})

	It("adopts what the server chose while the webhook was away", func(ctx SpecContext) {
		away := service("away", corev1.ServiceTypeNodePort, 0)
		webhookAway(ctx, func() { Expect(admin.Create(ctx, away)).To(Succeed()) })
		taken := away.Spec.Ports[0].NodePort
		Eventually(func() []allocator.Holder { return running.index.Holders(allocator.PortNumber(taken)) }).Should(HaveLen(1))
		Expect(admin.Create(ctx, service("late", corev1.ServiceTypeNodePort, taken))).To(
			MatchError(ContainSubstring("held by Service team-a/away")))
	})

	updates()
	reports()
}

var _ = Describe("advisory", Ordered, ContinueOnFailure, func() { behaviour(allocator.Advisory) })

var _ = Describe("authoritative", Ordered, ContinueOnFailure, func() { behaviour(allocator.Authoritative) })
