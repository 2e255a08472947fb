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
	corev1 "k8s.io/api/core/v1"
)

var _ = Describe("An address", func() {
	It("is the lowest free one of the pool of the highest priority, in the order in which Services came (L1)", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("low", s.range4(10, 11))
		s.pool("high", s.range4(100, 101), priority(5))
		for i, want := range []string{s.v4(100), s.v4(101), s.v4(10), s.v4(11), "PoolExhausted"} {
			name := string(rune('a' + i))
			s.service(name)
			Eventually(s.state(name)).Should(Equal(want))
		}
		Eventually(s.events("a")).Should(ConsistOf("Normal AddressAssigned"))
		Eventually(s.events("e")).Should(ConsistOf("Warning PoolExhausted"))
	})

	It("is of the families that the Service has (L2)", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9))
		s.service("a-single")
		s.service("b-six", ipv6)
		s.service("c-prefers", preferDual)
		s.service("d-requires", requireDual)
		Eventually(s.state("a-single")).Should(Equal(s.v4(1)))
		Eventually(s.state("b-six")).Should(Equal("NoPool"))
		Eventually(s.state("c-prefers")).Should(Equal(s.v4(2)))
		Eventually(s.state("d-requires")).Should(Equal("NoPool"))
		s.pool("two", s.range6(1, 9))
		Eventually(s.state("b-six")).Should(Equal(s.v6(1)))
		Eventually(s.state("c-prefers")).Should(Equal(s.v4(2) + "+" + s.v6(2)))
		Eventually(s.state("d-requires")).Should(Equal(s.v4(3) + "+" + s.v6(3)))
	})

	It("is written with the mode VIP, and a record of it before (L6)", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9))
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		Expect(s.get("a").Status.LoadBalancer.Ingress).To(Equal([]corev1.LoadBalancerIngress{{IP: s.v4(1), IPMode: new(corev1.LoadBalancerIPModeVIP)}}))
		Expect(s.holders(s.v4(1))()).To(Equal("a"))
	})
})
