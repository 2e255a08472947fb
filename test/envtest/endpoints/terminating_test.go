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

package endpoints

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// No namespace controller runs here: a namespace stays on its way out, as one does
// whose content has finalizers.
var _ = Describe("A namespace on its way out", Serial, func() {
	var bad *faults
	BeforeEach(func() { bad = startBehindFaults() })

	It("still loses endpoints while its namespace goes", func(ctx SpecContext) {
		s := newScene(ctx)
		s.observe("web", s.crowd(12)[:9]...)
		s.observe("db", s.custom()...)
		s.terminate()
		s.setReady("web-10", corev1.ConditionFalse)
		Eventually(s.endpoints("web")).Should(ContainElement(endpoint{"10.1.0.10", 8080, down}))
		s.deletePod("web-11")
		Eventually(s.endpoints("web")).Should(HaveLen(11))
		s.changeCustom()
		s.expectCustomEnd()
	})

	It("is asked for what it refuses once, and no more", func(ctx SpecContext) {
		s := newScene(ctx)
		s.crowd(5)
		s.custom()
		s.service("held")
		update(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "held"}},
			func(service *corev1.Service) { service.Finalizers = []string{"switchyard.dev/spec"} })
		Eventually(func() int { return len(s.slices("held")) }).Should(Equal(1))
		s.terminate()
		held := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "held"}}
		Expect(api.Delete(ctx, held)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			update(ctx, held, func(service *corev1.Service) { service.Finalizers = nil })
		})
		// The namespace controller deletes in no order: each of these would be made again.
		// What fails is tried again after a tenth of a second, a fifth, two fifths and so on.
		remove := func(service string) {
			for _, slice := range s.slices(service) {
				Expect(api.Delete(ctx, &slice)).To(Succeed())
			}
		}
		refused := func(what string) int { return bad.asked("POST")[what] }
		asked := func(least, mostSlices, mostEndpoints int, change func()) {
			GinkgoHelper()
			bad.set(func(f *faults) { f.requests = map[string]int{} })
			change()
			Eventually(refused).WithArguments("endpointslices").Should(BeNumerically(">=", least))
			Consistently(func() [2]int { return [2]int{refused("endpointslices"), refused("endpoints")} }).WithTimeout(3*time.Second).Should(HaveExactElements(
				BeNumerically("<=", mostSlices), BeNumerically("<=", mostEndpoints)), "it is asked again and again")
			Expect(bad.asked("POST")).NotTo(HaveKey("events"), "which it takes none of")
			GinkgoWriter.Println("asked to create", refused("endpointslices"), "slices and", refused("endpoints"), "Endpoints")
		}
		asked(2, 8, 0, func() {
			remove("web")
			remove("held") // of a Service on its way out
			s.relabel("red")
		})
		asked(3, 10, 3, func() {
			Expect(api.Delete(ctx, &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "web"}})).To(Succeed())
			Eventually(refused).WithArguments("endpoints").Should(BeNumerically(">=", 1))
			remove("db")
			s.relabelCustom("red")
		})
		Expect(s.slices("web")).To(BeEmpty())
	})
})

func (s scene) terminate() {
	GinkgoHelper()
	Expect(api.Delete(s, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}})).To(Succeed())
}
