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
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/balancer"
)

var _ = Describe("Another leader", Serial, func() {
	It("swaps nothing, and serves who waits only after it knows who has what (L4)", func(ctx SpecContext) {
		s := newScene(ctx)
		pool := s.pool("one", s.range4(1, 4))
		// Those that wait are older than those that have an address.
		s.service("a-old", asking("203.0.113.1"))
		s.service("b-old", asking("203.0.113.1"))
		s.service("x", asking(s.v4(1)))
		s.service("y", asking(s.v4(2)))
		for name, want := range map[string]string{"x": s.v4(1), "y": s.v4(2), "a-old": "RequestedAddressNotInPool"} {
			Eventually(s.state(name)).Should(Equal(want))
		}
		shared.stop()
		DeferCleanup(func() { shared = newLead(nil) })
		for _, name := range []string{"a-old", "b-old", "x", "y"} {
			s.update(name, asking(""))
		}
		changes := past.moved()
		next := newLead(nil)
		DeferCleanup(next.stop)
		Eventually(s.state("a-old")).Should(Equal(s.v4(3)))
		Eventually(s.state("b-old")).Should(Equal(s.v4(4)))
		Expect(s.state("x")()).To(Equal(s.v4(1)))
		Expect(s.state("y")()).To(Equal(s.v4(2)))
		Expect(past.moved() - changes).To(Equal(2))
		Expect(pool.Name).NotTo(BeEmpty())
	})

	It("goes on where the last one was killed, between any two writes", func(ctx SpecContext) {
		s := newScene(ctx)
		alone()
		s.pool("one", s.range4(1, 100)+" "+s.range6(1, 100))
		names := []string{}
		for round := range 6 {
			struck := make(chan struct{})
			kill, left := round, false
			l := &line{}
			l.judge = func(write string) verdict {
				if !strings.Contains(write, "leases") && !strings.Contains(write, "/status") || left {
					return pass
				}
				if kill--; kill >= 0 {
					return pass
				}
				left = true
				close(struck)
				return dead
			}
			m := newLead(l)
			name := fmt.Sprintf("svc-%d", round)
			names = append(names, name)
			s.service(name, requireDual)
			s.service(name+"b", asking(s.v4(50+round)))
			names = append(names, name+"b")
			Eventually(struck).Should(BeClosed())
			m.stop()
		}
		next := newLead(nil)
		DeferCleanup(next.stop)
		seen := map[string]bool{}
		for _, name := range names {
			Eventually(s.state(name)).Should(ContainSubstring("198.18."), name)
			for _, addr := range ingressOf(s.get(name)) {
				Expect(seen[addr]).To(BeFalse(), addr)
				seen[addr] = true
				Expect(s.holders(addr)()).To(Equal(name))
			}
		}
		// No claim is left of what was begun and not finished.
		Eventually(s.claims).Should(Equal(len(seen)))
	})

	It("that leads at the same time gives nobody what another has", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 40))
		slow := &line{}
		second := newLead(slow)
		DeferCleanup(second.stop)
		for round := range 4 {
			hold := make(chan struct{})
			slow.set(func(l *line) { l.hold = hold })
			for i := range 10 {
				s.service(fmt.Sprintf("svc-%d-%d", round, i))
			}
			for i := range 10 {
				Eventually(s.state(fmt.Sprintf("svc-%d-%d", round, i))).Should(ContainSubstring("198.18."))
			}
			if round < 3 {
				for i := range 5 {
					s.remove(fmt.Sprintf("svc-%d-%d", round, i))
				}
			}
			slow.set(func(l *line) { l.hold = nil })
			close(hold) // what it was about to write is old by now
		}
		Consistently(past.wrongs).Should(BeEmpty())
		Eventually(s.claims).Should(Equal(25))
		for i := range 10 {
			Expect(s.state(fmt.Sprintf("svc-3-%d", i))()).To(ContainSubstring("198.18."))
		}
	})

	It("goes by what was recorded and not yet written", func(ctx SpecContext) {
		s := newScene(ctx)
		alone()
		s.pool("one", s.range4(1, 9))
		l := &line{}
		first := newLead(l)
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		l.set(func(l *line) {
			l.judge = func(write string) verdict {
				if strings.HasSuffix(write, "/status") {
					return dead
				}
				return pass
			}
		})
		s.service("b")
		Eventually(s.holders(s.v4(2))).Should(Equal("b"))
		first.stop()
		Expect(s.state("b")()).To(Equal("none"))
		s.remove("a")
		next := newLead(nil)
		DeferCleanup(next.stop)
		Eventually(s.state("b")).Should(Equal(s.v4(2)))
		Eventually(s.claims).Should(Equal(1))
	})

	for what, only := range map[string]string{"claim": "POST leases ", "status": "PATCH services a/status"} {
		It("whose "+what+" was held while its addresses went to others writes none of them", func(ctx SpecContext) {
			s := newScene(ctx)
			alone()
			pool := s.pool("one", s.v4(1))
			hold := make(chan struct{})
			first := &line{hold: hold, only: only}
			old := newLead(first)
			s.service("a")
			Eventually(first.waiting).Should(BeTrue())
			// The next leader finds the pool for another Service, and the old one is
			// only then let go.
			s.updatePool(pool, func(p *v1alpha1.AddressPoolSpec) {
				p.ServiceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"for": "b"}}
			})
			next := newLead(nil)
			DeferCleanup(next.stop)
			changes := past.moved()
			s.serviceFor("b")
			Eventually(s.state("b")).Should(Equal(s.v4(1)))
			first.set(func(l *line) { l.hold = nil })
			close(hold)
			Consistently(s.state("b")).Should(Equal(s.v4(1)))
			Expect(s.state("a")()).To(Equal("NoPool"))
			Expect(past.moved()).To(Equal(changes+1), "b had it, and never lost it")
			old.stop()
		})
	}
})

var _ = Describe("An API server that refuses writes", Serial, func() {
	for name, fate := range map[string]verdict{
		"429":           http.StatusTooManyRequests,
		"409":           http.StatusConflict,
		"500":           http.StatusInternalServerError,
		"a lost answer": lost,
	} {
		It("with "+name+" is asked again until all is written", func(ctx SpecContext) {
			s := newScene(ctx)
			alone()
			pool := s.pool("one", s.range4(1, 20))
			n := 0
			l := &line{judge: func(string) verdict {
				if n++; n%2 == 1 {
					return fate
				}
				return pass
			}}
			m := newLead(l)
			DeferCleanup(m.stop)
			for i := range 10 {
				s.service(fmt.Sprint("svc-", i))
			}
			for i := range 10 {
				Eventually(s.state(fmt.Sprint("svc-", i))).Should(ContainSubstring("198.18."))
			}
			for i := range 5 {
				s.remove(fmt.Sprint("svc-", i))
			}
			s.updatePool(pool, func(p *v1alpha1.AddressPoolSpec) {
				p.Addresses = []v1alpha1.AddressRange{v1alpha1.AddressRange(s.range4(11, 20))}
			})
			for i := range 5 {
				Eventually(s.state(fmt.Sprint("svc-", i+5))).Should(MatchRegexp(`198\.18\.\d+\.(1[1-9]|20)$`))
			}
			Eventually(s.claims).Should(Equal(5))
			Expect(len(l.written())).To(BeNumerically(">", 30))
		})
	}

	It("takes no address of a Service's before the claim is written", func(ctx SpecContext) {
		s := newScene(ctx)
		alone()
		s.pool("one", s.range4(1, 9))
		l := &line{judge: func(write string) verdict {
			if strings.Contains(write, " leases ") {
				return http.StatusInternalServerError
			}
			return pass
		}}
		m := newLead(l)
		DeferCleanup(m.stop)
		s.service("a")
		Eventually(l.written).Should(ContainElement("POST leases "))
		Consistently(func() []string { return ingressOf(s.get("a")) }).Should(BeEmpty())
		l.set(func(l *line) { l.judge = nil })
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		writes := l.written()
		Expect(slices.Index(writes, "PATCH services a/status")).To(BeNumerically(">", slices.Index(writes, "POST leases ")))
	})

	It("gives another address than one that a status still has", func(ctx SpecContext) {
		s := newScene(ctx)
		alone()
		pool := s.pool("one", s.range4(1, 3))
		l := &line{}
		m := newLead(l)
		DeferCleanup(m.stop)
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		l.set(refusing(ofA))
		s.updatePool(pool, onlyFor("b"))
		s.serviceFor("b")
		Eventually(s.state("b")).Should(Equal(s.v4(2)))
		Expect(ingressOf(s.get("a"))).To(ConsistOf(s.v4(1)))
		l.set(func(l *line) { l.judge = nil })
		Eventually(s.state("a")).Should(Equal("NoPool"))
	})

	It("frees no address before it is out of the status of who had it", func(ctx SpecContext) {
		s := newScene(ctx)
		alone()
		pool := s.pool("one", s.v4(1))
		l := &line{}
		m := newLead(l)
		DeferCleanup(m.stop)
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		l.set(refusing(ofA))
		s.updatePool(pool, onlyFor("b"))
		s.serviceFor("b")
		Consistently(func() []string { return ingressOf(s.get("b")) }).Should(BeEmpty())
		l.set(func(l *line) { l.judge = nil })
		Eventually(s.state("b")).Should(Equal(s.v4(1)))
		Eventually(s.state("a")).Should(Equal("NoPool"))
	})
})

var _ = Describe("The claim of an address", func() {
	It("is an object of which others may write the spec, and goes with the last Service", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9))
		s.service("a", sharing("k"))
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		lease := s.lease(s.v4(1))
		Expect(lease.Spec).To(Equal(coordinationv1.LeaseSpec{}))
		lease.Spec = coordinationv1.LeaseSpec{HolderIdentity: new("node-1"), LeaseTransitions: new(int32(3))}
		Expect(admin.Update(ctx, lease)).To(Succeed())
		s.service("b", sharing("k"), on(81))
		Eventually(s.holders(s.v4(1))).Should(Equal("a,b"))
		s.remove("a")
		Eventually(s.holders(s.v4(1))).Should(Equal("b"))
		Expect(s.lease(s.v4(1)).Spec).To(Equal(lease.Spec))
		s.remove("b")
		Eventually(s.holders(s.v4(1))).Should(Equal("none"))
	})

	It("is written again when somebody deletes it, and nothing moves", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9))
		s.service("a", asking(s.v4(5)))
		Eventually(s.state("a")).Should(Equal(s.v4(5)))
		s.update("a", asking(""))
		before := s.lease(s.v4(5))
		Expect(admin.Delete(ctx, before)).To(Succeed())
		Eventually(s.holders(s.v4(5))).Should(Equal("a"))
		Expect(s.lease(s.v4(5)).UID).NotTo(Equal(before.UID))
		Consistently(s.state("a")).Should(Equal(s.v4(5)))
	})

	It("keeps an address from others while nobody can read it", func(ctx SpecContext) {
		s := newScene(ctx)
		lease := balancer.LeaseOf(systemNamespace, balancer.Claim{Addr: netip.MustParseAddr(s.v4(1))})
		lease.Annotations[balancer.ServicesAnnotation] = "garbage"
		Expect(admin.Create(ctx, lease)).To(Succeed())
		Eventually(func() error { return seesLease(ctx, lease.Name) }).Should(Succeed())
		s.pool("one", s.range4(1, 9))
		s.service("a", asking(s.v4(1)))
		Eventually(s.state("a")).Should(Equal("RequestedAddressInUse"))
		Expect(admin.Delete(ctx, lease)).To(Succeed())
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
	})
})

// seesLease is nil once an Event says that the Lease can not be read.
func seesLease(ctx context.Context, name string) error {
	var list eventsv1.EventList
	if err := admin.List(ctx, &list, client.InNamespace(systemNamespace)); err != nil {
		return err
	}
	for i := range list.Items {
		if list.Items[i].Regarding.Name == name && list.Items[i].Reason == "ClaimIllegible" {
			return nil
		}
	}
	return fmt.Errorf("no Event about Lease %s", name)
}

// claims counts those of the scene.
func (s scene) claims() int {
	GinkgoHelper()
	var leases coordinationv1.LeaseList
	Expect(admin.List(s, &leases, client.InNamespace(systemNamespace), client.HasLabels{balancer.AddressLabel})).To(Succeed())
	n := 0
	for i := range leases.Items {
		if strings.Contains(leases.Items[i].Annotations[balancer.ServicesAnnotation], s.namespace+"/") {
			n++
		}
	}
	return n
}

var _ = Describe("Three hundred Services on two hundred addresses", Serial, func() {
	It("get all of them, and the rest as they are released", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 200))
		for i := range 300 {
			s.service(fmt.Sprintf("svc-%03d", i))
		}
		Eventually(s.served).Should(HaveLen(200))
		var released []string
		for i := range 150 {
			name := fmt.Sprintf("svc-%03d", 2*i)
			s.remove(name)
			released = append(released, name)
		}
		Eventually(s.served).Should(HaveLen(150))
		Consistently(s.served).Should(And(HaveLen(150), Not(ContainElements(released))))
		Eventually(s.claims).Should(Equal(150))
	})
})

// served are the Services of the scene that have an address.
func (s scene) served() []string {
	services := s.list()
	var names []string
	for i := range services {
		if len(ingressOf(&services[i])) > 0 {
			names = append(names, services[i].Name)
		}
	}
	return names
}

var services = flag.Int("services", 300, "Services that get an address at once")

var _ = Describe("Hundreds of Services", Serial, func() {
	It("get their addresses in a time that is printed", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", fmt.Sprintf("198.19.0.0/21 2001:db8:1:%x::/112", s.n))
		begun := time.Now()
		create(s, *services)
		created := time.Since(begun)
		Eventually(func() int { return len(s.served()) }, 5*time.Minute, 100*time.Millisecond).Should(Equal(*services))
		GinkgoWriter.Printf("%d Services created in %v, all addresses in status %v after the first was created\n", *services, created, time.Since(begun))
		AddReportEntry("time", fmt.Sprintf("created in %v, all in status after %v", created, time.Since(begun)))
	}, NodeTimeout(10*time.Minute))
})

// create makes Services as fast as ten clients can.
func create(s scene, n int) {
	GinkgoHelper()
	work := make(chan int)
	failed := make(chan error, n)
	ended := make(chan struct{})
	for range 10 {
		go func() {
			for i := range work {
				failed <- admin.Create(context.WithoutCancel(s), s.draft(fmt.Sprintf("svc-%04d", i)))
			}
			ended <- struct{}{}
		}()
	}
	for i := range n {
		work <- i
	}
	close(work)
	for range 10 {
		<-ended
	}
	for range n {
		Expect(<-failed).To(Succeed())
	}
}
