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
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// onlyFor has a pool serve one Service, by its label.
func onlyFor(name string) func(*v1alpha1.AddressPoolSpec) {
	return func(p *v1alpha1.AddressPoolSpec) {
		p.ServiceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"for": name}}
	}
}

// serviceFor is one that such a pool serves.
func (s scene) serviceFor(name string) {
	GinkgoHelper()
	draft := s.draft(name)
	draft.Labels = map[string]string{"for": name}
	Expect(admin.Create(s, draft)).To(Succeed())
}

var _ = Describe("A status that a manager has begun to write", Serial, func() {
	It("can not arrive any longer when its address is given on", func(ctx SpecContext) {
		s := newScene(ctx)
		alone()
		pool := s.pool("one", s.v4(1))
		first := &line{hold: make(chan struct{}), only: ofA}
		old := newLead(first)
		DeferCleanup(old.stop)
		s.service("a")
		Eventually(first.waiting).Should(BeTrue())
		s.updatePool(pool, onlyFor("b"))
		second := &line{hold: make(chan struct{}), only: ofA}
		next := newLead(second)
		DeferCleanup(next.stop)
		s.serviceFor("b")
		Eventually(second.waiting).Should(BeTrue())
		Consistently(func() []string { return ingressOf(s.get("b")) }).Should(BeEmpty(), "the first manager may yet show it in a")
		By("letting it arrive")
		changes := past.moved()
		first.release()
		Eventually(past.moved).Should(BeNumerically(">", changes))
		second.release()
		Eventually(s.state("b")).Should(Equal(s.v4(1)))
		Eventually(s.state("a")).Should(Equal("NoPool"))
		Eventually(s.holders(s.v4(1))).Should(Equal("b"))
	})

	It("has its Service written once more if that is as it is to be", func(ctx SpecContext) {
		s := newScene(ctx)
		alone()
		pool := s.pool("one", s.v4(1), onlyFor("b"))
		l := &line{}
		old := newLead(l)
		s.service("a")
		Eventually(s.state("a")).Should(Equal("NoPool"))
		l.set(func(l *line) { l.hold, l.only, l.held = make(chan struct{}), ofA, 0 })
		s.updatePool(pool, func(p *v1alpha1.AddressPoolSpec) { p.ServiceSelector = nil })
		Eventually(l.waiting).Should(BeTrue())
		before := s.get("a").ResourceVersion
		s.updatePool(pool, onlyFor("b"))
		next := newLead(nil)
		DeferCleanup(next.stop)
		s.serviceFor("b")
		Eventually(s.state("b")).Should(Equal(s.v4(1)))
		Expect(s.get("a").ResourceVersion).NotTo(Equal(before))
		l.release()
		Consistently(s.state("a")).Should(Equal("NoPool"))
		old.stop()
	})
})

var _ = Describe("A status from which a manager has begun to take the address", Serial, func() {
	It("keeps it if it was decided otherwise meanwhile", func(ctx SpecContext) {
		s := newScene(ctx)
		alone()
		pool := s.pool("one", s.v4(1))
		old := newLead(nil)
		DeferCleanup(old.stop)
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		old.set(func(l *line) { l.hold, l.only = make(chan struct{}), ofA })
		s.updatePool(pool, onlyFor("b"))
		Eventually(old.waiting).Should(BeTrue())
		Expect(s.holders(s.v4(1))()).To(BeEmpty(), "it is leaving")
		s.updatePool(pool, func(p *v1alpha1.AddressPoolSpec) { p.ServiceSelector = nil })
		next := newLead(nil)
		DeferCleanup(next.stop)
		Eventually(s.holders(s.v4(1))).Should(Equal("a"))
		changes := past.moved()
		old.release()
		Consistently(past.moved).Should(Equal(changes))
		Expect(s.state("a")()).To(Equal(s.v4(1)))
		Eventually(old.met).Should(ContainElement(ofA))
	})
})

var _ = Describe("A claim that a manager has begun to write", Serial, func() {
	// held has a manager begin to write the claim of the only address, and another
	// give that to b meanwhile.
	held := func(s scene, verb string) (old *lead, write string) {
		GinkgoHelper()
		alone()
		s.pool("one", s.v4(1))
		old = newLead(nil)
		DeferCleanup(old.stop)
		s.service("a", sharing("k"))
		s.service("c", sharing("k"), on(81))
		Eventually(s.holders(s.v4(1))).Should(Or(Equal("a,c"), Equal("c,a")))
		write = verb + " leases " + s.lease(s.v4(1)).Name
		old.set(func(l *line) { l.hold, l.only = make(chan struct{}), write })
		s.remove("c")
		if verb == "DELETE" {
			Eventually(s.holders(s.v4(1))).Should(Equal("a"))
			s.remove("a")
		}
		Eventually(old.waiting).Should(BeTrue())
		next := newLead(nil)
		DeferCleanup(next.stop)
		if verb != "DELETE" {
			Eventually(s.holders(s.v4(1))).Should(Equal("a"))
			s.remove("a")
		}
		s.service("b")
		Eventually(s.state("b")).Should(Equal(s.v4(1)))
		return old, write
	}

	refused := func(s scene, verb string) {
		GinkgoHelper()
		old, write := held(s, verb)
		before := s.lease(s.v4(1)).UID
		old.release()
		Eventually(old.met).Should(ContainElement(write))
		Consistently(s.holders(s.v4(1))).Should(Equal("b"))
		Expect(s.lease(s.v4(1)).UID).To(Equal(before))
	}

	It("is not changed if another manager has written it since", func(ctx SpecContext) { refused(newScene(ctx), "PATCH") })

	It("is not deleted if another manager has written it since", func(ctx SpecContext) { refused(newScene(ctx), "DELETE") })
})

var _ = Describe("A manager that hears of claims too late", Serial, func() {
	It("takes nothing from whom another has given it", func(ctx SpecContext) {
		s := newScene(ctx)
		alone()
		pool := s.pool("one", s.v4(1))
		late := newLead(&line{hold: make(chan struct{}), only: ofA})
		DeferCleanup(late.stop)
		s.service("a")
		Eventually(late.waiting).Should(BeTrue())
		s.updatePool(pool, onlyFor("b"))
		Eventually(s.holders(s.v4(1))).Should(BeEmpty(), "a is leaving, and late can not finish it")
		name := s.lease(s.v4(1)).Name
		late.set(func(l *line) { l.deaf, l.deafTo, l.asked = make(chan struct{}), "leases", nil })
		next := newLead(nil)
		DeferCleanup(next.stop)
		changes := past.moved()
		s.serviceFor("b")
		Eventually(s.state("b")).Should(Equal(s.v4(1)))
		Eventually(past.moved).Should(BeNumerically(">", changes))
		Consistently(past.moved).Should(Equal(changes+1), "b has it, and never loses it")
		Eventually(late.hasAsked(name)).Should(BeTrue())
		Expect(s.state("b")()).To(Equal(s.v4(1)))
	})
})

var _ = Describe("A manager that hears of Services too late", Serial, func() {
	It("reads them when another has changed a claim", func(ctx SpecContext) {
		s := newScene(ctx)
		alone()
		pool := s.pool("one", s.range4(1, 9))
		late := newLead(nil)
		DeferCleanup(late.stop)
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		late.set(func(l *line) { l.deaf = make(chan struct{}) })
		other := newLead(nil)
		s.service("b")
		Eventually(s.state("b")).Should(Equal(s.v4(2)))
		other.stop()
		Expect(admin.Delete(ctx, pool)).To(Succeed())
		Eventually(s.state("b")).Should(Equal("NoPool"))
	})
})
