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
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

var _ = Describe("A Service that asks for addresses", func() {
	It("gets those of its annotation, or of spec.loadBalancerIP, and no others", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9)+" "+s.range6(1, 9))
		s.service("field", func(service *corev1.Service) { service.Spec.LoadBalancerIP = s.v4(5) })
		s.service("one", asking(s.v4(6)))
		s.service("two", asking(s.v4(7)+", "+s.v6(7)), requireDual)
		s.service("half", asking(s.v6(8)), preferDual)
		Eventually(s.state("field")).Should(Equal(s.v4(5)))
		Eventually(s.state("one")).Should(Equal(s.v4(6)))
		Eventually(s.state("two")).Should(Equal(s.v4(7) + "+" + s.v6(7)))
		Eventually(s.state("half")).Should(Equal(s.v4(1) + "+" + s.v6(8)))
	})

	It("hears why it gets none", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9))
		other := s.pool("other", s.range4(20, 29), func(p *v1alpha1.AddressPoolSpec) { p.AutoAssign = new(false) })
		s.service("first", asking(s.v4(5)))
		Eventually(s.state("first")).Should(Equal(s.v4(5)))
		s.service("taken", asking(s.v4(5)))
		s.service("elsewhere", asking("203.0.113.7"))
		s.service("nonsense", asking("web"))
		s.service("six", asking(s.v6(1)))
		s.service("pool", annotated(v1alpha1.AddressPoolAnnotation, other.Name))
		s.service("nopool", annotated(v1alpha1.AddressPoolAnnotation, "nowhere"))
		for name, want := range map[string]string{
			"taken": "RequestedAddressInUse", "elsewhere": "RequestedAddressNotInPool", "nonsense": "RequestInvalid",
			"six": "FamilyUnavailable", "pool": "PoolsNotAutomatic", "nopool": "NoPool",
		} {
			Eventually(s.state(name)).Should(Equal(want), name)
		}
		s.update("pool", asking(s.v4(21)))
		Eventually(s.state("pool")).Should(Equal(s.v4(21)))
		Eventually(s.events("taken")).Should(ContainElement("Warning RequestedAddressInUse"))
	})

	It("keeps what it has until it can have what it asks for, and then moves", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9))
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		s.service("b", asking(s.v4(5)))
		Eventually(s.state("b")).Should(Equal(s.v4(5)))
		s.update("a", asking(s.v4(5)))
		Eventually(s.state("a")).Should(Equal(s.v4(1) + "+RequestedAddressInUse"))
		s.remove("b")
		Eventually(s.state("a")).Should(Equal(s.v4(5)))
		Eventually(s.holders(s.v4(1))).Should(Equal("none"))
		Eventually(s.events("a")).Should(ContainElement("Normal AddressMoved"))
	})

	It("hears of each address that it gets", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9))
		s.service("a", asking(s.v4(3)))
		Eventually(s.state("a")).Should(Equal(s.v4(3)))
		for _, addr := range []string{s.v4(4), s.v4(5)} {
			s.update("a", asking(addr))
			Eventually(s.state("a")).Should(Equal(addr))
		}
		Eventually(s.notes("a")).Should(ContainElements(ContainSubstring(s.v4(3)), ContainSubstring(s.v4(4)), ContainSubstring(s.v4(5))))
	})

	It("takes none of a node, of a ServiceCIDR, or of somebody's externalIPs", func(ctx SpecContext) {
		s := newScene(ctx)
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "node-"}}
		Expect(admin.Create(ctx, node)).To(Succeed())
		node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: s.v4(1)}}
		Expect(admin.Status().Update(ctx, node)).To(Succeed())
		Expect(admin.Create(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "external"},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}, ExternalIPs: []string{s.v4(2)}},
		})).To(Succeed())
		s.service("wishes", asking("10.0.0.200"))
		s.pool("one", s.range4(1, 3)+" 10.0.0.200")
		Eventually(s.state("wishes")).Should(Equal("RequestedAddressInUse"))
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(3)))
		s.service("b")
		Eventually(s.state("b")).Should(Equal("PoolExhausted"))
		Expect(admin.Delete(ctx, node)).To(Succeed())
		Eventually(s.state("b")).Should(Equal(s.v4(1)))
	})
})

var _ = Describe("An AddressReservation", func() {
	reserve := func(s scene, addr, name string) {
		GinkgoHelper()
		Expect(admin.Create(s, &v1alpha1.AddressReservation{
			ObjectMeta: metav1.ObjectMeta{Name: allocator.AddrNumber(netip.MustParseAddr(addr)).ReservationName(), Labels: map[string]string{"scene": s.namespace}},
			Spec:       v1alpha1.AddressReservationSpec{Address: addr, ServiceRef: &v1alpha1.ServiceReference{Namespace: s.namespace, Name: name}},
		})).To(Succeed())
	}

	It("keeps an address for its Service, and gives it back when the Service is made again", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 3))
		s.service("mine")
		Eventually(s.state("mine")).Should(Equal(s.v4(1)))
		reserve(s, s.v4(1), "mine")
		reserve(s, s.v4(2), "later")
		s.remove("mine")
		s.service("other")
		Eventually(s.state("other")).Should(Equal(s.v4(3)))
		s.service("third", asking(s.v4(1)))
		Eventually(s.state("third")).Should(Equal("RequestedAddressReserved"))
		s.service("later")
		Eventually(s.state("later")).Should(Equal(s.v4(2)))
		s.service("mine")
		Eventually(s.state("mine")).Should(Equal(s.v4(1)))
	})

	It("frees its address when it goes", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.v4(1))
		reserve(s, s.v4(1), "nobody")
		s.service("a")
		Eventually(s.state("a")).Should(Equal("PoolExhausted"))
		Expect(admin.DeleteAllOf(ctx, &v1alpha1.AddressReservation{}, client.MatchingLabels{"scene": s.namespace})).To(Succeed())
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
	})
})

var _ = Describe("Services with one sharing key", func() {
	It("share an address, each with ports of its own", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9))
		s.service("a", sharing("k"))
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		s.service("b", sharing("k"), on(81))
		s.service("clash", sharing("k"))
		s.service("stranger", on(82))
		Eventually(s.state("b")).Should(Equal(s.v4(1)))
		Eventually(s.holders(s.v4(1))).Should(Equal("a,b"))
		Eventually(s.state("clash")).Should(Equal(s.v4(2)))
		Eventually(s.state("stranger")).Should(Equal(s.v4(3)))
		s.service("wishes", sharing("k"), asking(s.v4(1)))
		Eventually(s.state("wishes")).Should(Equal("SharingRefused"))
		By("ending what one of them no longer wants")
		s.update("b", sharing("l"))
		Eventually(s.state("b")).Should(Equal(s.v4(4)))
		Eventually(s.holders(s.v4(1))).Should(Equal("a"))
		Eventually(s.events("b")).Should(ContainElement("Warning AddressSharingEnded"))
		Expect(s.state("a")()).To(Equal(s.v4(1)))
	})

	It("share across namespaces if the pool allows it and each names the other's", func(ctx SpecContext) {
		s, t := newScene(ctx), newScene(ctx)
		names := func(namespace string) edit { return annotated(v1alpha1.SharingNamespacesAnnotation, namespace) }
		s.pool("one", s.range4(1, 9), func(p *v1alpha1.AddressPoolSpec) {
			p.Sharing = v1alpha1.SharingCluster
			p.NamespaceSelector.MatchLabels = nil
			p.NamespaceSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{
				Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: []string{s.namespace, t.namespace},
			}}
		})
		s.service("a", sharing("k"), names(t.namespace))
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		t.service("one-sided", sharing("k"), on(81))
		Eventually(t.state("one-sided")).Should(Equal(s.v4(2)))
		t.service("agreed", sharing("k"), on(82), names(s.namespace))
		Eventually(t.state("agreed")).Should(Equal(s.v4(1)))
	})
})

// uidOf is the present Service's.
func (s scene) uidOf(name string) types.UID { return s.get(name).UID }
