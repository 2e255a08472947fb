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
	const ofA = "PATCH services a/status"

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
