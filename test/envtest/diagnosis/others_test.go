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

package diagnosis

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
)

func external(ip string) func(*corev1.Service) {
	return func(service *corev1.Service) { service.Spec.ExternalIPs = []string{ip} }
}

var _ = Describe("Addresses", func() {
	It("that another namespace has as well are a conflict, whose name is not told", func(ctx SpecContext) {
		s, other := newScene(ctx), newScene(ctx)
		s.pod("web-1", "web", "10.1.0.1")
		other.pod("rival-1", "rival", "10.1.0.2")
		s.service("web", external("198.51.100.7"))
		s.answers("web")
		other.service("rival", external("198.51.100.7"))
		for _, it := range []func() string{s.is("web", diagnosis.Conflicted), other.is("rival", diagnosis.Conflicted)} {
			Eventually(it).Should(Equal("True FrontendHeldTwice"))
		}
		Expect(s.says("web", diagnosis.Conflicted)).To(And(ContainSubstring("198.51.100.7:80"), Not(ContainSubstring(other.namespace)), Not(ContainSubstring("rival"))))
		Eventually(s.events("web")).Should(Equal([]string{"Warning FrontendHeldTwice"}))

		By("giving it up")
		update(s, other.read("rival"), func(service *corev1.Service) { service.Spec.ExternalIPs = nil })
		for _, it := range []func() string{s.is("web", diagnosis.Conflicted), other.is("rival", diagnosis.Conflicted)} {
			Eventually(it).Should(Equal("False NoConflict"))
		}
		Eventually(s.events("web")).Should(ConsistOf("Warning FrontendHeldTwice", "Normal NoConflict"))
	})

	It("that no load balancer gives are missing", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pod("web-1", "web", "10.1.0.1")
		s.service("web", func(service *corev1.Service) { service.Spec.Type = corev1.ServiceTypeLoadBalancer })
		Eventually(s.is("web", diagnosis.AddressAllocated)).Should(Equal("False LoadBalancerPending"))
		updateStatus(s, s.read("web"), func(service *corev1.Service) {
			service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "198.51.100.8"}}
		})
		Eventually(s.is("web", diagnosis.AddressAllocated)).Should(Equal("True Allocated"))
		s.answers("web")
		Eventually(s.events("web")).Should(ConsistOf("Warning LoadBalancerPending", "Normal Allocated"))
	})
})

var _ = Describe("Conditions of others", func() {
	theirs := metav1.Condition{
		Type: "example.com/Programmed", Status: metav1.ConditionFalse, Reason: "Waiting", Message: "theirs",
		LastTransitionTime: metav1.Date(2026, 1, 2, 3, 4, 5, 0, metav1.Now().Location()),
	}

	It("are left as they are", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web")
		updateStatus(s, s.read("web"), func(service *corev1.Service) { service.Status.Conditions = append(service.Status.Conditions, theirs) })
		Eventually(s.is("web", diagnosis.EndpointsAvailable)).Should(Equal("False NoMatchingPods"))
		s.pod("web-1", "web", "10.1.0.1")
		s.answers("web")
		left := conditionOf(s.read("web"), theirs.Type)
		Expect(left.LastTransitionTime.Equal(&theirs.LastTransitionTime)).To(BeTrue())
		left.LastTransitionTime = theirs.LastTransitionTime
		Expect(left).To(Equal(theirs))
	})

	It("are left to them even where they have our name, until they are gone", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pod("web-1", "web", "10.1.0.1")
		s.service("web", func(service *corev1.Service) { service.Annotations = map[string]string{"spec": "ours"} })
		s.answers("web")
		updateStatus(s, s.read("web"), func(service *corev1.Service) {
			for i := range service.Status.Conditions {
				if c := &service.Status.Conditions[i]; c.Type == diagnosis.Reachable {
					c.Status, c.Reason, c.Message = metav1.ConditionUnknown, "Theirs", "theirs"
				}
			}
		})
		s.service("bystander")
		Eventually(s.is("bystander", diagnosis.EndpointsAvailable)).Should(Equal("False NoMatchingPods"))
		Consistently(s.is("web", diagnosis.Reachable)).Should(Equal("Unknown Theirs"))

		By("changing what is ours")
		Expect(api.Delete(s, &corev1.Pod{ObjectMeta: s.meta("web-1")}, client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(s.is("web", diagnosis.EndpointsAvailable)).Should(Equal("False NoMatchingPods"))
		Expect(s.is("web", diagnosis.Reachable)()).To(Equal("Unknown Theirs"))

		By("taking theirs away")
		updateStatus(s, s.read("web"), func(service *corev1.Service) {
			var rest []metav1.Condition
			for _, c := range service.Status.Conditions {
				if c.Type != diagnosis.Reachable {
					rest = append(rest, c)
				}
			}
			service.Status.Conditions = rest
		})
		Eventually(s.is("web", diagnosis.Reachable)).Should(Equal("False NoMatchingPods"))
	})
})
