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

package reservations

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// address is an IPAddress as somebody makes it, by hand or by program.
func address(ip, managedBy string, parent networkingv1.ParentReference) *networkingv1.IPAddress {
	return &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: ip, Labels: map[string]string{
			networkingv1.LabelIPAddressFamily: "IPv4", networkingv1.LabelManagedBy: managedBy,
		}},
		Spec: networkingv1.IPAddressSpec{ParentRef: &parent},
	}
}

// What the holders of package placeholder stand on, shown without any of our
// code: how the stock API server treats an IPAddress that is not its own, and a
// Service that does nothing but have NodePorts.
var _ = Describe("The stock API server", Ordered, func() {
	foreign := networkingv1.ParentReference{Group: "switchyard.dev", Resource: "addressreservations", Name: "10.0.0.20"}

	It("leaves an IPAddress alone that is managed by somebody else, and collects its own leaks", func(ctx SpecContext) {
		ours := address("10.0.0.20", "switchyard-manager", foreign)
		Expect(admin.Create(ctx, ours)).To(Succeed())
		leak := address("10.0.0.21", "ipallocator.k8s.io", networkingv1.ParentReference{Resource: "services", Namespace: "team-a", Name: "never-there"})
		Expect(admin.Create(ctx, leak)).To(Succeed())
		began := time.Now()

		By("refusing the number to those who ask for it")
		Expect(admin.Create(ctx, at(service("asks", 0), "10.0.0.20"))).To(MatchError(ContainSubstring("provided IP is already allocated")))

		By("not giving it to those who take any")
		for i := range 59 { // 62 in all: 3 are default/kubernetes and the two above
			Expect(admin.Create(ctx, service(fmt.Sprintf("any%d", i), 0))).To(Succeed())
		}
		Expect(admin.Create(ctx, service("one-too-many", 0))).To(MatchError(ContainSubstring("range is full")))
		Expect(admin.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace("team-a"))).To(Succeed())

		By("having its repair collect a leak of its own meanwhile")
		Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(leak), leak) }, "120s", "1s").Should(MatchError(ContainSubstring("not found")))
		GinkgoWriter.Println("leak was collected after", time.Since(began))
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(ours), ours)).To(Succeed())
		Expect(admin.Delete(ctx, ours)).To(Succeed())

		By("giving the number at once when the holder is gone")
		Expect(admin.Create(ctx, at(service("asks", 0), "10.0.0.20"))).To(Succeed())
	})

	It("keeps the NodePorts of a Service that nobody serves, and frees them one by one", func(ctx SpecContext) {
		holder := service("holder")
		holder.Namespace = systemNamespace
		holder.Spec.Selector = nil
		holder.Labels = map[string]string{"service.kubernetes.io/service-proxy-name": "switchyard.dev-reserved"}
		for port := int32(30064); port < 30128; port++ {
			holder.Spec.Ports = append(holder.Spec.Ports, corev1.ServicePort{Name: fmt.Sprint("reserved-", port), Port: port, NodePort: port, Protocol: corev1.ProtocolTCP})
		}
		holder.Spec.Type = corev1.ServiceTypeNodePort
		began := time.Now()
		Expect(admin.Create(ctx, holder)).To(Succeed())
		GinkgoWriter.Println("64 ports held in", time.Since(began))
		for _, port := range []int32{30064, 30100, 30127} {
			Expect(admin.Create(ctx, service("asks", port))).To(MatchError(ContainSubstring("provided port is already allocated")))
		}
		holder.Spec.Ports = append(holder.Spec.Ports[:36], holder.Spec.Ports[37:]...) // without 30100
		began = time.Now()
		Expect(admin.Update(ctx, holder)).To(Succeed())
		GinkgoWriter.Println("one freed in", time.Since(began))
		Expect(admin.Create(ctx, service("other", 30100))).To(Succeed())
		Expect(admin.Create(ctx, service("asks", 30101))).To(MatchError(ContainSubstring("provided port is already allocated")))

		By("refusing the whole update when one of its ports is taken")
		holder.Spec.Ports = append(holder.Spec.Ports,
			corev1.ServicePort{Name: "a", Port: 1, NodePort: 30200, Protocol: corev1.ProtocolTCP},
			corev1.ServicePort{Name: "b", Port: 2, NodePort: 30100, Protocol: corev1.ProtocolTCP})
		Expect(admin.Update(ctx, holder)).To(MatchError(And(ContainSubstring("spec.ports[64].nodePort"), ContainSubstring("provided port is already allocated"))))
		Expect(admin.Create(ctx, service("more", 30200))).To(Succeed(), "the refused update has kept a port")
		Expect(admin.Delete(ctx, holder)).To(Succeed())
		Expect(admin.Create(ctx, service("last", 30101))).To(Succeed())
	})

	AfterEach(func(ctx SpecContext) {
		Expect(admin.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace("team-a"))).To(Succeed())
	})
})
