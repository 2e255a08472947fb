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
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Who puts all slices of a Service together never misses an endpoint, whatever
// becomes of its ports: there is always a slice that has it, with the ports of
// before or those of after.
var _ = Describe("Endpoints in partly filled slices", func() {
	It("are all there at any time while the ports of their Service change", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pods("web", 1, 300, withPort("http", 7070))
		s.service("web", func(spec *corev1.ServiceSpec) {
			spec.Ports = append(spec.Ports, corev1.ServicePort{Name: "admin", Port: 81, TargetPort: intstr.FromInt32(8081)})
		})
		Eventually(s.slices).WithArguments("web").Should(HaveLen(3))
		Eventually(s.endpoints("web")).Should(HaveLen(600))
		var steady []string
		for i := 1; i <= 300; i++ {
			if i%6 == 0 {
				s.deletePod(fmt.Sprint("web-", i))
			} else {
				steady = append(steady, addressOf(i))
			}
		}
		Eventually(s.endpoints("web")).Should(HaveLen(2 * 250))
		Eventually(s.addresses("web")).Should(HaveLen(2 * 250))
		Expect(s.slices("web")).To(HaveEach(HaveField("Endpoints", WithTransform(func(all []discoveryv1.Endpoint) int { return len(all) }, BeNumerically("<", 100)))))
		s.observe("web", steady...)

		ports := func(title string, want []int32, change func(*corev1.ServiceSpec)) {
			GinkgoHelper()
			By(title)
			s.updateService("web", func(service *corev1.Service) { change(&service.Spec) })
			for _, of := range []func() []endpoint{s.endpoints("web"), s.addresses("web")} {
				Eventually(numbersOf(of)).Should(Equal(map[int32]int{want[0]: 250, want[len(want)-1]: 250}))
			}
		}
		ports("the number of a targetPort", []int32{9090, 8081}, func(spec *corev1.ServiceSpec) { spec.Ports[0].TargetPort = intstr.FromInt32(9090) })
		ports("its name", []int32{7070, 8081}, func(spec *corev1.ServiceSpec) { spec.Ports[0].TargetPort = intstr.FromString("http") })
		ports("a port less", []int32{7070}, func(spec *corev1.ServiceSpec) { spec.Ports = spec.Ports[:1] })
		ports("a port more", []int32{7070, 8082}, func(spec *corev1.ServiceSpec) {
			spec.Ports = append(spec.Ports, corev1.ServicePort{Name: "more", Port: 82, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(8082)})
		})

		By("a second family, and its end")
		s.updateService("web", func(service *corev1.Service) { dualStack(&service.Spec) })
		Eventually(s.endpoints("web")).Should(HaveLen(4 * 250))
		s.updateService("web", func(service *corev1.Service) {
			service.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicySingleStack)
			service.Spec.IPFamilies, service.Spec.ClusterIPs = service.Spec.IPFamilies[:1], service.Spec.ClusterIPs[:1]
		})
		Eventually(s.endpoints("web")).Should(HaveLen(2 * 250))
	})

	It("stay while others are rolled to another number of a named port", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web", namedTarget("http"))
		steady := s.pods("web", 1, 20, withPort("http", 8080))
		s.pods("web", 21, 40, withPort("http", 8080))
		Eventually(s.endpoints("web")).Should(HaveLen(40))
		Eventually(s.addresses("web")).Should(HaveLen(40))
		s.observe("web", steady...)
		for i := 21; i <= 40; i++ {
			s.pods("web", i+100, i+100, withPort("http", 9090))
			s.deletePod(fmt.Sprint("web-", i))
		}
		for _, of := range []func() []endpoint{s.endpoints("web"), s.addresses("web")} {
			Eventually(numbersOf(of)).Should(Equal(map[int32]int{8080: 20, 9090: 20}))
		}
	})
})

// numbersOf counts the endpoints of each port.
func numbersOf(endpoints func() []endpoint) func() map[int32]int {
	return func() map[int32]int {
		found := map[int32]int{}
		for _, e := range endpoints() {
			found[e.Port]++
		}
		return found
	}
}
