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
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("Another controller that writes the same status", Serial, func() {
	It("is set right at first, and then less and less often, with an Event", func(ctx SpecContext) {
		s := newScene(ctx)
		alone()
		l := &line{}
		m := newLead(l)
		DeferCleanup(m.stop)
		s.pool("one", s.range4(1, 9))
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		ends := time.Now().Add(4 * time.Second)
		rounds := 0
		for time.Now().Before(ends) || rounds < 4 { // a busy machine may take longer for what there is an Event about
			now := s.get("a")
			if len(now.Status.LoadBalancer.Ingress) == 0 || now.Status.LoadBalancer.Ingress[0].IP == s.v4(1) {
				before := now.DeepCopy()
				now.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: fmt.Sprintf("203.0.113.%d", 100+rounds%50)}}
				Expect(admin.Status().Patch(ctx, now, client.MergeFrom(before))).To(Succeed())
				rounds++
			}
		}
		Expect(rounds).To(BeNumerically("<", 10))
		Eventually(s.events("a")).Should(ContainElement("Warning AddressOverwritten"))
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
	})

	It("is set right as well if only the mode, a port or a name is another", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9))
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		ours := s.get("a").Status.LoadBalancer.Ingress
		for _, other := range [][]corev1.LoadBalancerIngress{
			{{IP: s.v4(1), IPMode: new(corev1.LoadBalancerIPModeProxy)}},
			{{IP: s.v4(1), Ports: []corev1.PortStatus{{Port: 80, Protocol: corev1.ProtocolTCP}}}},
			{{IP: s.v4(1)}, {Hostname: "lb.example.org"}},
		} {
			now := s.get("a")
			before := now.DeepCopy()
			now.Status.LoadBalancer.Ingress = other
			Expect(admin.Status().Patch(ctx, now, client.MergeFrom(before))).To(Succeed())
			Eventually(func() []corev1.LoadBalancerIngress { return s.get("a").Status.LoadBalancer.Ingress }).Should(Equal(ours))
		}
	})
})
