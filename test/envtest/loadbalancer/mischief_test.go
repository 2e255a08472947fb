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
	"fmt"
	"net/http"
	"net/netip"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/internal/balancer"
)

// claimed is the text of a Service in a claim.
func (s scene) claimed(name string) string {
	return s.namespace + "/" + name + " " + string(s.get(name).UID)
}

// claim makes a Lease as somebody else might.
func (s scene) claim(addr, services string, labels map[string]string) {
	GinkgoHelper()
	lease := balancer.LeaseOf(systemNamespace, balancer.Claim{Addr: netip.MustParseAddr(addr)})
	lease.Annotations[balancer.ServicesAnnotation] = services
	if labels != nil {
		lease.Labels = labels
	}
	Expect(admin.Create(s, lease)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(admin.Delete(ctx, lease))).To(Succeed()) })
}

var _ = Describe("A claim that somebody else has written", Serial, func() {
	It("stops nobody else, whatever it says", func(ctx SpecContext) {
		s := newScene(ctx)
		shared.stop()
		DeferCleanup(func() { shared = newLead(nil) })
		for i, text := range []string{"a/.. uid", "a/b/c uid", "a/b%c uid", "../../nodes uid"} {
			s.claim(s.v4(i+1), text, nil)
		}
		s.pool("one", s.range4(1, 9))
		next := newLead(nil)
		DeferCleanup(next.stop)
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(5)), "the others may be somebody's")
	})

	It("frees its address with the Service that had it, once it is written again", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.v4(1))
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		garbled := s.lease(s.v4(1))
		garbled.Annotations[balancer.ServicesAnnotation] = "garbage"
		Expect(admin.Update(ctx, garbled)).To(Succeed())
		Eventually(s.holders(s.v4(1))).Should(Equal("a"))
		s.remove("a")
		s.service("b")
		Eventually(s.state("b")).Should(Equal(s.v4(1)))
	})

	It("that nobody can read and has no label is seen when somebody deletes it", func(ctx SpecContext) {
		s := newScene(ctx)
		shared.stop()
		DeferCleanup(func() { shared = newLead(nil) })
		s.claim(s.v4(1), "garbage", map[string]string{})
		s.pool("one", s.v4(1))
		next := newLead(nil)
		DeferCleanup(next.stop)
		s.service("a")
		Eventually(s.state("a")).Should(Equal("PoolExhausted"))
		Eventually(func() bool { return s.lease(s.v4(1)) != nil }).Should(BeTrue(), "it is found by its label")
		lease := s.lease(s.v4(1))
		Expect(lease.Annotations[balancer.ServicesAnnotation]).To(Equal("garbage"))
		Expect(admin.Delete(ctx, lease)).To(Succeed())
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
	})

	It("gets its label back, and nothing moves", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9))
		s.service("a", asking(s.v4(3)))
		s.service("b", asking(s.v4(4)))
		Eventually(s.state("a")).Should(Equal(s.v4(3)))
		Eventually(s.state("b")).Should(Equal(s.v4(4)))
		s.update("a", asking(""))
		s.update("b", asking(""))
		changes := past.moved()
		unlabel := func(addr string) {
			lease := s.lease(addr)
			lease.Labels = nil
			Expect(admin.Update(ctx, lease)).To(Succeed())
		}
		By("while a manager leads")
		unlabel(s.v4(3))
		Eventually(s.holders(s.v4(3))).Should(Equal("a"))
		By("while none does")
		shared.stop()
		DeferCleanup(func() { shared = newLead(nil) })
		unlabel(s.v4(4))
		next := newLead(nil)
		DeferCleanup(next.stop)
		Eventually(s.holders(s.v4(4))).Should(Equal("b"))
		Expect(past.moved()).To(Equal(changes))
		By("with one that names a Service, and never had the label")
		s.service("c", asking(s.v4(6)))
		Eventually(s.state("c")).Should(Equal(s.v4(6)))
		s.claim(s.v4(1), s.claimed("c"), map[string]string{})
		s.service("d")
		s.service("e")
		Eventually(s.state("d")).Should(HavePrefix("198.18."))
		Eventually(s.state("e")).Should(HavePrefix("198.18."))
		Expect(s.state("c")()).To(Equal(s.v4(6)))
	})
})

var _ = Describe("A pool that nobody can read", Serial, func() {
	It("keeps its addresses for those who have them when another leads, and gives none", func(ctx SpecContext) {
		s := newScene(ctx)
		pool := s.pool("one", s.range4(1, 9))
		s.pool("two", s.range4(11, 19))
		s.service("a", asking(s.v4(5)))
		Eventually(s.state("a")).Should(Equal(s.v4(5)))
		s.update("a", asking(""))
		s.updatePool(pool, func(p *v1alpha1.AddressPoolSpec) {
			p.NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: metav1.LabelSelectorOpIn}}}
		})
		shared.stop()
		DeferCleanup(func() { shared = newLead(nil) })
		changes := past.moved()
		next := newLead(nil)
		DeferCleanup(next.stop)
		s.service("b")
		Eventually(s.state("b")).Should(Equal(s.v4(11)))
		Expect(s.state("a")()).To(Equal(s.v4(5)))
		Eventually(func() int { return past.moved() - changes }).Should(Equal(1), "b has got an address, and nothing has moved")
		Eventually(func() error {
			var list eventsv1.EventList
			if err := admin.List(ctx, &list); err != nil {
				return err
			}
			for i := range list.Items {
				if list.Items[i].Regarding.Name == pool.Name && list.Items[i].Reason == "AddressPoolIllegible" {
					return nil
				}
			}
			return fmt.Errorf("no Event about AddressPool %s", pool.Name)
		}).Should(Succeed())
		s.updatePool(pool, func(p *v1alpha1.AddressPoolSpec) {
			p.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.namespace}}
		})
		s.service("c")
		Eventually(s.state("c")).Should(Equal(s.v4(1)))
	})
})

var _ = Describe("An address of a pool that has gone", Serial, func() {
	It("stays for a while when its pool has gone while no manager led", func(ctx SpecContext) {
		s := newScene(ctx)
		alone()
		pool := s.pool("one", s.range4(1, 9))
		first := newLead(nil)
		DeferCleanup(first.stop)
		s.service("a", asking(s.v4(9)))
		Eventually(s.state("a")).Should(Equal(s.v4(9)))
		s.update("a", asking(""))
		first.stop()
		Expect(admin.Delete(ctx, pool)).To(Succeed())
		changes := past.moved()
		patient := newLead(nil, func(o *controllers.LoadBalancerOptions) { o.PoolGrace = time.Hour })
		DeferCleanup(patient.stop)
		s.service("b")
		Eventually(s.state("b")).Should(Equal("PoolDisabled"))
		Expect(s.state("a")()).To(Equal(s.v4(9)))
		again := s.pool("one", s.range4(1, 9))
		Eventually(s.state("b")).Should(Equal(s.v4(1)))
		Expect(s.state("a")()).To(Equal(s.v4(9)))
		Expect(past.moved()-changes).To(Equal(1), "b has got one")
		patient.stop()
		Expect(admin.Delete(ctx, again)).To(Succeed())
		next := newLead(nil)
		DeferCleanup(next.stop)
		Eventually(s.state("a")).Should(Equal("NoPool"))
	})
})

var _ = Describe("An address that another controller gave before", Serial, func() {
	It("stays when a pool has it, and goes from the status when no pool has it any longer", func(ctx SpecContext) {
		adoptAndLose(newScene(ctx), 0)
	})

	It("goes as well if the first write that takes it away fails", func(ctx SpecContext) { adoptAndLose(newScene(ctx), 1) })

	It("goes as well if the second write that takes it away fails", func(ctx SpecContext) { adoptAndLose(newScene(ctx), 2) })
})

// adoptAndLose has one of the writes fail that take an address away.
func adoptAndLose(s scene, failing int) {
	GinkgoHelper()
	before := s.service("a")
	before.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: s.v4(3)}}
	Eventually(func() error {
		object := s.get("a")
		object.Status.LoadBalancer = before.Status.LoadBalancer
		return admin.Status().Update(s, object)
	}).Should(Succeed())
	Eventually(s.state("a")).Should(Equal(s.v4(3) + "+NoPool"))
	Consistently(s.state("a")).Should(Equal(s.v4(3)+"+NoPool"), "it is not ours")
	shared.stop()
	DeferCleanup(func() { shared = newLead(nil) })
	pool := s.pool("one", s.range4(1, 9))
	l := &line{}
	next := newLead(l)
	DeferCleanup(next.stop)
	Eventually(s.state("a")).Should(Equal(s.v4(3)))
	n := 0
	l.set(func(l *line) {
		l.judge = func(write string) verdict {
			if write == "PATCH services a/status" {
				if n++; n == failing {
					return http.StatusInternalServerError
				}
			}
			return pass
		}
	})
	Expect(admin.Delete(s, pool)).To(Succeed())
	Eventually(s.state("a")).Should(Equal("NoPool"))
	Eventually(s.events("a")).Should(ContainElement("Warning AddressNotInPool"))
}
