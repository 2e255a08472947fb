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
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"switchyard.dev/switchyard/controllers"
)

// twoPods is a Service whose slices and Endpoints are there.
func twoPods(s scene) *corev1.Service {
	GinkgoHelper()
	service := s.service("web")
	s.pod("web-1", "web", "1")
	s.pod("web-2", "web", "2")
	Eventually(s.endpoints("web")).Should(HaveLen(2))
	Eventually(s.addresses("web")).Should(HaveLen(2))
	return service
}

func (s scene) hasNoEndpointsObject(service string) func() bool {
	return func() bool { _, err := s.endpointsObject(service); return apierrors.IsNotFound(err) }
}

func dropSelector(service *corev1.Service) { service.Spec.Selector = nil }

var _ = Describe("What was made of pods", func() {
	It("goes when the selector goes, and an Event says so", func(ctx SpecContext) {
		s := newScene(ctx)
		twoPods(s)
		s.updateService("web", dropSelector)
		Eventually(func() int { return len(s.slices("web")) }).Should(BeZero())
		Eventually(s.hasNoEndpointsObject("web")).Should(BeTrue())
		Eventually(s.events("web")).Should(ContainElement("EndpointsRemoved"))
		Consistently(s.slices).WithArguments("web").Should(BeEmpty(), "nor is it mirrored")

		By("leaving room for what its author makes")
		s.handMade("web")
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"192.0.2.1", 8080, "+ready"}, {"192.0.2.2", 8080, "+ready"}}))
	})

	It("goes when the Service becomes an ExternalName", func(ctx SpecContext) {
		s := newScene(ctx)
		twoPods(s)
		s.updateService("web", func(service *corev1.Service) {
			service.Spec.Type, service.Spec.ExternalName = corev1.ServiceTypeExternalName, "example.com"
			service.Spec.ClusterIP, service.Spec.ClusterIPs = "", nil
		})
		Eventually(func() int { return len(s.slices("web")) }).Should(BeZero())
		Eventually(s.hasNoEndpointsObject("web")).Should(BeTrue())
	})

	It("stays while the annotation keeps it, and goes with the annotation", func(ctx SpecContext) {
		s := newScene(ctx)
		twoPods(s)
		s.updateService("web", func(service *corev1.Service) {
			dropSelector(service)
			service.Annotations = map[string]string{controllers.KeepEndpointsAnnotation: "true"}
		})
		Eventually(func() int { return len(s.slices("web", sliceController)) }).Should(BeZero(), "handed over to the mirror")
		Expect(s.endpoints("web")()).To(HaveLen(2))
		Consistently(s.events("web")).ShouldNot(ContainElement("EndpointsRemoved"))
		s.updateService("web", func(service *corev1.Service) { service.Annotations = nil })
		Eventually(s.hasNoEndpointsObject("web")).Should(BeTrue())
		Eventually(func() int { return len(s.slices("web")) }).Should(BeZero())
	})
})

var _ = Describe("What is found at the start", Serial, func() {
	It("stays if somebody has written it since the selector went, and is mirrored", func(ctx SpecContext) {
		s := newScene(ctx)
		twoPods(s)
		stopControllers()
		s.updateService("web", dropSelector)
		object, err := s.endpointsObject("web")
		Expect(err).NotTo(HaveOccurred())
		update(ctx, object, func(object *corev1.Endpoints) { object.Subsets[0].Addresses[0].IP = "192.0.2.7" })
		startControllers(controllers.EndpointsAll)
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.2", 8080, "+ready"}, {"192.0.2.7", 8080, "+ready"}}))
		Expect(s.slices("web", sliceController)).To(BeEmpty())
	})

	It("goes if its Service went, but for slices that were orphaned on purpose", func(ctx SpecContext) {
		s := newScene(ctx)
		service := twoPods(s)
		stopControllers()
		kept := s.slices("web")[0]
		orphan := &discoveryv1.EndpointSlice{AddressType: kept.AddressType, Endpoints: kept.Endpoints, Ports: kept.Ports}
		orphan.Namespace, orphan.Name, orphan.Labels = s.namespace, "orphaned", kept.Labels
		Expect(api.Create(ctx, orphan)).To(Succeed())
		Expect(api.Delete(ctx, service)).To(Succeed())
		startControllers(controllers.EndpointsAll)
		Eventually(s.slices).WithArguments("web").Should(ConsistOf(HaveField("Name", "orphaned")))
		Eventually(s.hasNoEndpointsObject("web")).Should(BeTrue())
	})
})
