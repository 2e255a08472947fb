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

package pools

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

var _ = Describe("Claims of requests that come to nothing", func() {
	inEachMode(func(s *scene) {
		It("keep a shared pool from nobody, however often a quota refuses", func(ctx SpecContext) {
			s.portPool(ctx, "shared", v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30010-30019"}, NamespaceSelector: inTeams("red", "blue")})
			s.denyNodePorts(ctx, "red")
			for i := range 3 {
				Expect(admin.Create(ctx, nodePorts("red", fmt.Sprint("greedy-", i), 10-i))).NotTo(Succeed())
				blue := nodePort("blue", fmt.Sprint("modest-", i), 0)
				Expect(admin.Create(ctx, blue)).To(Succeed())
				Expect(blue.Spec.Ports[0].NodePort).To(And(BeNumerically(">=", 30010), BeNumerically("<=", 30019)))
			}
			all := nodePorts("blue", "all", 7)
			Expect(admin.Create(ctx, all)).To(Succeed(), "seven of ten ports are nobody's")
			Expect(message(admin.Create(ctx, nodePort("blue", "one-more", 0)))).To(ContainSubstring("no number is free in pool shared"))
		})

		It("keep no ClusterIP of a pool either", func(ctx SpecContext) {
			s.addressPool(ctx, "shared", v1alpha1.AddressPoolSpec{
				Use: v1alpha1.UseClusterIP, Addresses: []v1alpha1.AddressRange{"10.0.0.64-10.0.0.65"}, NamespaceSelector: inTeams("red", "blue"),
			})
			s.denyNodePorts(ctx, "red")
			for i := range 2 {
				Expect(apierrors.IsForbidden(admin.Create(ctx, nodePort("red", fmt.Sprint("greedy-", i), 0)))).To(BeTrue())
			}
			for i := range 2 {
				Expect(admin.Create(ctx, nodePort("blue", fmt.Sprint("modest-", i), 0))).To(Succeed())
			}
			Expect(message(admin.Create(ctx, nodePort("blue", "one-more", 0)))).To(ContainSubstring("no number is free in pool shared"))
		})

		It("are not made of what the server finds invalid", func(ctx SpecContext) {
			s.portPool(ctx, "red-ports", v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30010-30013"}, NamespaceSelector: selecting("red")})
			for i := range 4 {
				invalid := nodePort("red", fmt.Sprint("invalid-", i), 0)
				invalid.Spec.SessionAffinity = "Sometimes"
				Expect(apierrors.IsInvalid(admin.Create(ctx, invalid))).To(BeTrue())
			}
			Expect(s.claims(ctx)).To(BeEmpty())
			Expect(admin.Create(ctx, nodePorts("red", "good", 4))).To(Succeed())
		})

		It("leave one Service at a time all numbers of its pool", func(ctx SpecContext) {
			s.portPool(ctx, "ci", v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30010-30014"}, NamespaceSelector: selecting("red")})
			for i := range 20 {
				service := nodePort("red", fmt.Sprint("build-", i), 0)
				if i%2 == 1 {
					service.Name, service.GenerateName = "", "build-"
				}
				Expect(admin.Create(ctx, service)).To(Succeed(), "Service %d of 20, with no other in the pool", i)
				s.waitUntilSeen(service)
				Expect(admin.Delete(ctx, service)).To(Succeed())
			}
		})

		It("do not lead the next attempts to the port that the server did not give", func(ctx SpecContext) {
			pool := s.portPool(ctx, "red-ports", v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30010"}, NamespaceSelector: selecting("red")})
			leaked := s.leak(ctx, 30010)
			defer func() { Expect(admin.Delete(ctx, leaked)).To(Succeed()) }()
			Eventually(func() error {
				s.index.Forget(client.ObjectKeyFromObject(leaked), leaked.UID) // a look past the cache may bring it back
				return admin.Create(ctx, nodePort("red", "keep", 0))
			}).Should(MatchError(ContainSubstring("no number is free in pool red-ports")), "the server is asked about the last port of a pool")
			changeRanges(ctx, pool, "30010-30011")
			Consistently(func(g Gomega) {
				service := nodePort("red", "keep", 0)
				g.Expect(admin.Create(ctx, service)).To(Succeed())
				g.Expect(service.Spec.Ports[0].NodePort).To(BeEquivalentTo(30011))
				g.Expect(admin.Delete(ctx, service)).To(Succeed())
				s.waitUntilForgotten(g, 30011)
			}, "4s").Should(Succeed())
		})
	})
})

// nodePorts is a Service with so many ports.
func nodePorts(namespace, name string, count int) *corev1.Service {
	service := nodePort(namespace, name, 0)
	service.Spec.Ports = nil
	for i := range int32(count) {
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: fmt.Sprint("p", i), Port: 80 + i, Protocol: corev1.ProtocolTCP})
	}
	return service
}

func inTeams(teams ...string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: "team", Operator: metav1.LabelSelectorOpIn, Values: teams},
	}}
}

// denyNodePorts gives a namespace a quota of none, until the end of the spec.
func (s *scene) denyNodePorts(ctx context.Context, namespace string) {
	GinkgoHelper()
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourceServicesNodePorts: resource.MustParse("0")}},
	}
	Expect(admin.Create(ctx, quota)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(admin.Delete(ctx, quota))).To(Succeed()) })
	// The controller of quotas is not here: what is used is what it would say.
	quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: quota.Spec.Hard}
	Expect(admin.Status().Update(ctx, quota)).To(Succeed())
	Eventually(func() bool {
		return apierrors.IsForbidden(admin.Create(ctx, nodePort(namespace, "probe", 0), client.DryRunAll))
	}).Should(BeTrue(), "the quota is not in force")
}

func (s *scene) waitUntilSeen(service *corev1.Service) {
	GinkgoHelper()
	Eventually(func() []allocator.Holder {
		return s.index.Holders(allocator.PortNumber(service.Spec.Ports[0].NodePort))
	}).ShouldNot(BeEmpty())
}

func (s *scene) waitUntilForgotten(g Gomega, port int32) {
	g.Eventually(s.index.Holders).WithArguments(allocator.PortNumber(port)).Should(BeEmpty())
}

// leak makes the API server keep a port, of a Service that the index can forget.
func (s *scene) leak(ctx context.Context, port int32) *corev1.Service {
	GinkgoHelper()
	service := nodePort(systemNamespace, "forgotten", port)
	Expect(admin.Create(ctx, service)).To(Succeed())
	s.waitUntilSeen(service)
	return service
}
