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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("A Service with a selector", func() {
	It("has the pods it selects, and follows them", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web")
		s.pod("web-1", "web", "1")
		s.pod("web-2", "web", "2", onNode("node-b"))
		s.pod("other", "other", "3")
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, up}, {"10.1.0.2", 8080, up}}))
		Eventually(s.addresses("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, "ready"}, {"10.1.0.2", 8080, "ready"}}))

		By("taking unready pods out")
		s.setReady("web-1", corev1.ConditionFalse)
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, down}, {"10.1.0.2", 8080, up}}))
		Eventually(s.addresses("web")).Should(Equal([]endpoint{{"10.1.0.2", 8080, "ready"}, {"10.1.0.1", 8080, "not ready"}}))
		s.setReady("web-1", corev1.ConditionTrue)
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, up}, {"10.1.0.2", 8080, up}}))

		By("letting go of deleted and relabelled pods")
		Expect(api.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "web-1"}},
			client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.2", 8080, up}}))
		update(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "web-2"}},
			func(pod *corev1.Pod) { pod.Labels["app"] = "quarantine" })
		Eventually(s.endpoints("web")).Should(BeEmpty())
		Eventually(s.addresses("web")).Should(BeEmpty())
		Expect(s.slices("web")).To(HaveLen(1), "the placeholder")
	})

	It("labels, owns and describes its slices as everybody expects", func(ctx SpecContext) {
		s := newScene(ctx)
		service := s.service("web")
		pod := s.pod("web-1", "web", "1", onNode("node-b"))
		Eventually(s.endpoints("web")).Should(HaveLen(1))
		slice := s.slices("web")[0]
		Expect(slice.GenerateName).To(Equal("web-"))
		Expect(slice.Labels).To(Equal(map[string]string{
			"team": "blue", discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: sliceController,
		}))
		Expect(slice.OwnerReferences).To(ConsistOf(HaveField("UID", service.UID)))
		Expect(slice.Annotations).To(HaveKey(corev1.EndpointsLastChangeTriggerTime))
		Expect(slice.ManagedFields).To(HaveEach(HaveField("Manager", "switchyard-endpointslice-controller")))
		Expect(slice.Endpoints[0]).To(Equal(discoveryv1.Endpoint{
			Addresses:  []string{"10.1.0.1"},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: s.namespace, Name: "web-1", UID: pod.UID},
			NodeName:   new("node-b"),
			Zone:       new("zone-b"),
		}))
		var object *corev1.Endpoints
		Eventually(func() (err error) { object, err = s.endpointsObject("web"); return err }).Should(Succeed())
		Expect(object.Labels).To(Equal(map[string]string{
			"team": "blue", "endpoints.kubernetes.io/managed-by": "endpoint-controller",
		}))
		Expect(object.Annotations).To(HaveKey(corev1.EndpointsLastChangeTriggerTime))
		Expect(object.ManagedFields).To(HaveEach(HaveField("Manager", "switchyard-endpoints-controller")))
	})

	It("resolves a named port in every pod by itself", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web", namedTarget("http"))
		s.pod("old", "web", "1", withPort("http", 8080))
		s.pod("new", "web", "2", withPort("http", 9090))
		s.pod("sidecar", "web", "3", func(pod *corev1.Pod) {
			always := corev1.ContainerRestartPolicyAlways
			port := []corev1.ContainerPort{{Name: "http", ContainerPort: 7070, Protocol: corev1.ProtocolTCP}}
			pod.Spec.InitContainers = []corev1.Container{{Name: "proxy", Image: "none", RestartPolicy: &always, Ports: port}}
		})
		s.pod("init", "web", "4", func(pod *corev1.Pod) {
			port := []corev1.ContainerPort{{Name: "http", ContainerPort: 6060, Protocol: corev1.ProtocolTCP}}
			pod.Spec.InitContainers = []corev1.Container{{Name: "setup", Image: "none", Ports: port}}
		})
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{
			{"10.1.0.1", 8080, up}, {"10.1.0.2", 9090, up}, {"10.1.0.3", 7070, up}, {"10.1.0.4", 0, up},
		}))
		Expect(s.slices("web")).To(HaveLen(4))
		Eventually(s.addresses("web")).Should(ConsistOf(
			endpoint{"10.1.0.1", 8080, "ready"}, endpoint{"10.1.0.2", 9090, "ready"}, endpoint{"10.1.0.3", 7070, "ready"}))
	})

	It("follows a change of its selector and of its ports", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web")
		s.pod("blue", "web", "1")
		s.pod("green", "web-green", "2")
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, up}}))
		s.updateService("web", func(service *corev1.Service) { service.Spec.Selector = map[string]string{"app": "web-green"} })
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.2", 8080, up}}))
		Eventually(s.addresses("web")).Should(Equal([]endpoint{{"10.1.0.2", 8080, "ready"}}))
		s.pod("green-2", "web-green", "3")
		Eventually(s.endpoints("web")).Should(HaveLen(2), "pod events follow the new selector")
		s.updateService("web", func(service *corev1.Service) { service.Spec.Ports[0].TargetPort = intstr.FromInt32(9090) })
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.2", 9090, up}, {"10.1.0.3", 9090, up}}))
		Expect(s.slices("web")).To(HaveLen(1))
	})

	It("has a slice per family when it is dual-stack, and Endpoints of the first", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web", dualStack)
		s.pod("web-1", "web", "1")
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, up}, {"fd00:1::1", 8080, up}}))
		Eventually(s.addresses("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, "ready"}}))
		s.updateService("web", func(service *corev1.Service) {
			service.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicySingleStack)
			service.Spec.IPFamilies = service.Spec.IPFamilies[:1]
			service.Spec.ClusterIPs = service.Spec.ClusterIPs[:1]
		})
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, up}}))
	})

	It("keeps terminating pods in slices, serving as long as they are ready", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web")
		pod := s.pod("web-1", "web", "1")
		Eventually(s.endpoints("web")).Should(HaveLen(1))
		// No kubelet confirms, so the pod stays in its grace period.
		Expect(api.Delete(ctx, pod)).To(Succeed())
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, "+serving+terminating"}}))
		Eventually(s.addresses("web")).Should(BeEmpty())
		s.setReady("web-1", corev1.ConditionFalse)
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, "+terminating"}}))
		Expect(api.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(s.endpoints("web")).Should(BeEmpty())
	})

	It("drops pods that have run to their end", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web")
		pod := s.pod("web-1", "web", "1")
		Eventually(s.endpoints("web")).Should(HaveLen(1))
		pod.Status.Phase = corev1.PodSucceeded
		Expect(api.Status().Update(ctx, pod)).To(Succeed())
		Eventually(s.endpoints("web")).Should(BeEmpty())
		Eventually(s.addresses("web")).Should(BeEmpty())
	})

	It("publishes unready pods as ready when it is told to", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web", func(spec *corev1.ServiceSpec) { spec.PublishNotReadyAddresses = true })
		pod := s.pod("web-1", "web", "1", notReady)
		s.pod("lost", "web", "2", onNode("no-such-node"))
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, "+ready"}, {"10.1.0.2", 8080, up}}))
		Eventually(s.addresses("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, "ready"}, {"10.1.0.2", 8080, "ready"}}))
		Expect(api.Delete(ctx, pod)).To(Succeed())
		Eventually(s.endpoints("web")).Should(ContainElement(endpoint{"10.1.0.1", 8080, "+ready+terminating"}))
	})

	It("leaves neither Endpoints nor slices behind when it is deleted", func(ctx SpecContext) {
		s := newScene(ctx)
		service := s.service("web")
		s.pod("web-1", "web", "1")
		Eventually(s.endpoints("web")).Should(HaveLen(1))
		Eventually(s.addresses("web")).Should(HaveLen(1))
		Expect(api.Delete(ctx, service)).To(Succeed())
		Eventually(func() bool { _, err := s.endpointsObject("web"); return apierrors.IsNotFound(err) }).Should(BeTrue())
		// No garbage collector runs here.
		Eventually(func() int { return len(s.slices("web")) }).Should(BeZero())
	})

	It("gets fresh slices when it is created again under the same name", func(ctx SpecContext) {
		s := newScene(ctx)
		first := s.service("web")
		s.pod("web-1", "web", "1")
		Eventually(s.endpoints("web")).Should(HaveLen(1))
		Expect(api.Delete(ctx, first)).To(Succeed())
		second := s.service("web")
		Eventually(func() []discoveryv1.EndpointSlice { return s.slices("web") }).
			Should(ConsistOf(HaveField("OwnerReferences", ConsistOf(HaveField("UID", second.UID)))))
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, up}}))
	})
})

var _ = Describe("A headless Service", func() {
	It("says so in a label and gives pods of its subdomain their hostname", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("db", headless)
		s.pod("db-0", "db", "1", func(pod *corev1.Pod) { pod.Spec.Hostname, pod.Spec.Subdomain = "db-0", "db" })
		s.pod("stray", "db", "2", func(pod *corev1.Pod) { pod.Spec.Hostname, pod.Spec.Subdomain = "stray", "elsewhere" })
		Eventually(s.endpoints("db")).Should(HaveLen(2))
		slice := s.slices("db")[0]
		Expect(slice.Labels).To(HaveKeyWithValue(corev1.IsHeadlessService, ""))
		hostnames := map[string]string{}
		for _, e := range slice.Endpoints {
			hostnames[e.Addresses[0]] = ptr.Deref(e.Hostname, "")
		}
		Expect(hostnames).To(Equal(map[string]string{"10.1.0.1": "db-0", "10.1.0.2": ""}))
		Eventually(s.addresses("db")).Should(HaveLen(2))
		object, err := s.endpointsObject("db")
		Expect(err).NotTo(HaveOccurred())
		Expect(object.Labels).To(HaveKeyWithValue(corev1.IsHeadlessService, ""))
		Expect(object.Subsets[0].Addresses).To(ContainElement(HaveField("Hostname", "db-0")))
	})

	It("needs no ports", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("db", headless, func(spec *corev1.ServiceSpec) { spec.Ports = nil })
		s.pod("db-0", "db", "1")
		Eventually(s.endpoints("db")).Should(Equal([]endpoint{{"10.1.0.1", 0, up}}))
		Eventually(s.addresses("db")).Should(Equal([]endpoint{{"10.1.0.1", 0, "ready"}}))
		Expect(s.slices("db")[0].Ports).To(BeEmpty())
	})
})

var _ = Describe("A Service that looks after itself", func() {
	It("is left alone when it is an ExternalName", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("ext", func(spec *corev1.ServiceSpec) {
			spec.Type, spec.ExternalName = corev1.ServiceTypeExternalName, "example.com"
		})
		s.pod("ext-1", "ext", "1")
		Consistently(func() int { return len(s.slices("ext")) }).Should(BeZero())
		_, err := s.endpointsObject("ext")
		Expect(apierrors.IsNotFound(err)).To(BeTrue())
	})

	It("keeps the slices its author makes when it has no selector", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("db", noSelector)
		Expect(api.Create(ctx, &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "db-hand-made",
				Labels: map[string]string{discoveryv1.LabelServiceName: "db"}},
			AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.9"}}},
		})).To(Succeed())
		Consistently(func() int { return len(s.slices("db")) }).Should(Equal(1))
	})
})
