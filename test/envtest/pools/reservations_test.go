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
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

var _ = Describe("Reservations", func() {
	inEachMode(func(s *scene) {
		var port, address allocator.Number
		BeforeEach(func(ctx SpecContext) {
			port = s.reserve(ctx, &v1alpha1.PortReservation{
				ObjectMeta: metav1.ObjectMeta{Name: "30025"},
				Spec:       v1alpha1.PortReservationSpec{ServiceRef: serviceRef("red", "web"), PortNames: []string{"http"}},
			})
			address = s.reserve(ctx, &v1alpha1.AddressReservation{
				ObjectMeta: metav1.ObjectMeta{Name: "10.0.0.7"},
				Spec:       v1alpha1.AddressReservationSpec{Address: "10.0.0.7", ServiceRef: serviceRef("red", "web")},
			})
		})

		It("keeps the numbers from others and says for whom", func(ctx SpecContext) {
			other := nodePort("others", "web", 30025)
			Expect(message(admin.Create(ctx, other))).To(ContainSubstring(
				"spec.ports[0].nodePort: Invalid value: 30025: reserved for Service red/web (PortReservation 30025); free: 30026-30031, 30000-30024"))
			other = nodePort("others", "web", 0)
			other.Spec.ClusterIP = "10.0.0.7"
			Expect(message(admin.Create(ctx, other))).To(ContainSubstring(
				`spec.clusterIPs[0]: Invalid value: "10.0.0.7": reserved for Service red/web (AddressReservation 10.0.0.7); free: 10.0.0.8-`))
		})

		It("gives them to their Service, which need not ask by number", func(ctx SpecContext) {
			web := nodePort("red", "web", 0)
			Expect(admin.Create(ctx, web)).To(Succeed())
			Expect(web.Spec.Ports[0].NodePort).To(BeEquivalentTo(30025))
			Expect(web.Spec.ClusterIP).To(Equal("10.0.0.7"))
			for _, number := range []allocator.Number{port, address} {
				Expect(s.keeper.Holds(ctx, number)).To(BeFalse())
				Eventually(func() int { return len(s.index.Holders(number)) }).Should(Equal(1))
			}
		})

		It("gives them to their Service by number as well", func(ctx SpecContext) {
			web := nodePort("red", "web", 30025)
			web.Spec.ClusterIP = "10.0.0.7"
			Expect(admin.Create(ctx, web)).To(Succeed())
			for _, number := range []allocator.Number{port, address} {
				Expect(s.keeper.Holds(ctx, number)).To(BeFalse())
			}
		})

		It("gives them to each of the Services that follow one another at once", func(ctx SpecContext) {
			for _, name := range []string{"30025", "10.0.0.7"} {
				retain := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"retain":"Retain"}}`))
				var object client.Object = &v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: name}}
				if name == "10.0.0.7" {
					object = &v1alpha1.AddressReservation{ObjectMeta: metav1.ObjectMeta{Name: name}}
				}
				Expect(admin.Patch(ctx, object, retain)).To(Succeed())
			}
			for range 3 {
				web := nodePort("red", "web", 0)
				Expect(admin.Create(ctx, web)).To(Succeed())
				Expect(web.Spec.Ports[0].NodePort).To(BeEquivalentTo(30025))
				Expect(web.Spec.ClusterIP).To(Equal("10.0.0.7"))
				Expect(admin.Delete(ctx, web)).To(Succeed())
			}
			// The claim of a Service that went before its claim did lasts 60 s.
			s.endClaims(ctx)
			for _, number := range []allocator.Number{port, address} {
				Eventually(s.keeper.Holds).WithArguments(ctx, number).Should(BeTrue(), "nobody has it and nothing holds it")
			}
		})

		It("answers a dry-run as far as it can and leaves all as it is", func(ctx SpecContext) {
			for _, asked := range []int32{0, 30025} {
				web := nodePort("red", "web", asked)
				Expect(admin.Create(ctx, web, client.DryRunAll)).To(Succeed(), "a dry-run must not be refused where the create is not")
				Expect(web.Spec.ClusterIP).To(Equal("10.0.0.7"))
				Expect(web.Spec.Ports[0].NodePort).To(BeEquivalentTo(32769), "the server's own answer: it would refuse the port that the placeholder holds")
				Expect(s.claims(ctx)).To(BeEmpty())
				for _, number := range []allocator.Number{port, address} {
					Expect(s.keeper.Holds(ctx, number)).To(BeTrue())
				}
			}
		})
	})
})
