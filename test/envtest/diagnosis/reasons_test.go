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
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// fault is a broken Service called web, and how it is mended.
type fault struct {
	reason diagnosis.Reason
	// breaks makes the Service, in what way it does not answer.
	breaks func(scene)
	// says are words of the message.
	says []string
	mend func(scene)
}

var _ = DescribeTable("A Service that does not answer is told why, and when it answers", func(ctx SpecContext, f fault) {
	s := newScene(ctx)
	f.breaks(s)
	Eventually(s.is("web", diagnosis.EndpointsAvailable)).Should(Equal("False " + string(f.reason)))
	Eventually(s.is("web", diagnosis.Reachable)).Should(Equal("False " + string(f.reason)))
	for _, words := range f.says {
		Expect(s.says("web", diagnosis.EndpointsAvailable)).To(ContainSubstring(words))
	}
	Eventually(s.events("web")).Should(Equal([]string{"Warning " + string(f.reason)}))
	f.mend(s)
	s.answers("web")
	Expect(s.is("web", diagnosis.AddressAllocated)()).To(Equal("True Allocated"))
	Expect(s.is("web", diagnosis.Conflicted)()).To(Equal("False NoConflict"))
	Eventually(s.events("web")).Should(ConsistOf("Warning "+string(f.reason), "Normal EndpointsReady"))
},
	Entry("no pod has the label", fault{
		reason: diagnosis.NoMatchingPods,
		breaks: func(s scene) {
			s.pod("web-1", "wbe", "10.1.0.1")
			s.service("web")
		},
		says: []string{"app=web", "app=wbe"},
		mend: func(s scene) {
			update(s, &corev1.Pod{ObjectMeta: s.meta("web-1")}, func(pod *corev1.Pod) { pod.Labels["app"] = "web" })
		},
	}),
	Entry("its pods are not ready", fault{
		reason: diagnosis.PodsNotReady,
		breaks: func(s scene) {
			s.pod("web-1", "web", "10.1.0.1", notReady, func(pod *corev1.Pod) {
				pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
					Name: "main", RestartCount: 4, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
					LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Reason: "Error"}},
				}}
			})
			s.service("web")
		},
		says: []string{"web-1", "CrashLoopBackOff", "exit code 3"},
		mend: func(s scene) { s.ready(&corev1.Pod{ObjectMeta: s.meta("web-1")}) },
	}),
	Entry("its pods' probe fails", fault{
		reason: diagnosis.PodsNotReady,
		breaks: func(s scene) {
			s.pod("web-1", "web", "10.1.0.1", notReady, func(pod *corev1.Pod) {
				pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}}}
				pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}}}
			})
			s.service("web")
		},
		says: []string{"web-1", "GET http :8080/healthz"},
		mend: func(s scene) { s.ready(&corev1.Pod{ObjectMeta: s.meta("web-1")}) },
	}),
	Entry("no pod declares the port", fault{
		reason: diagnosis.NamedPortNotFound,
		breaks: func(s scene) {
			s.pod("web-1", "web", "10.1.0.1", declaring("http-web", 8080))
			s.service("web", func(service *corev1.Service) { service.Spec.Ports[0].TargetPort = intstr.FromString("http") })
		},
		says: []string{"port http (80)", "http-web (8080)"},
		mend: func(s scene) {
			update(s, s.read("web"), func(service *corev1.Service) { service.Spec.Ports[0].TargetPort = intstr.FromString("http-web") })
		},
	}),
	Entry("its pods are of another family", fault{
		reason: diagnosis.FamilyMismatch,
		breaks: func(s scene) {
			s.pod("web-1", "web", "10.1.0.1")
			s.service("web", func(service *corev1.Service) { service.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol} })
		},
		says: []string{"IPv6", "web-1"},
		mend: func(s scene) {
			s.pod("web-2", "web", "fd00:1::2")
			Expect(api.Delete(s, &corev1.Pod{ObjectMeta: s.meta("web-1")})).To(Succeed())
		},
	}),
	Entry("the node of its pods is not there", fault{
		reason: diagnosis.NodeUnknown,
		breaks: func(s scene) {
			s.pod("web-1", "web", "10.1.0.1", onNode("node-lost"))
			s.service("web")
		},
		says: []string{"web-1", "node-lost"},
		mend: func(s scene) {
			createNode(s, "node-lost")
			DeferCleanup(func(ctx SpecContext) {
				Expect(api.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-lost"}})).To(Succeed())
			})
		},
	}),
	Entry("it has neither a selector nor endpoints", fault{
		reason: diagnosis.NoSelectorNoEndpoints,
		breaks: func(s scene) { s.service("web", noSelector) },
		says:   []string{"neither a selector nor endpoints"},
		mend:   func(s scene) { s.slice("by-hand", "web", "192.0.2.1") },
	}),
)

var _ = Describe("What keeps connections away", func() {
	It("is a NetworkPolicy that lets nobody in", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pod("web-1", "web", "10.1.0.1")
		s.service("web")
		s.answers("web")
		policy := &networkingv1.NetworkPolicy{ObjectMeta: s.meta("deny"), Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}}}
		Expect(api.Create(s, policy)).To(Succeed())
		Eventually(s.is("web", diagnosis.Reachable)).Should(Equal("False NetworkPolicyDenies"))
		Expect(s.says("web", diagnosis.Reachable)).To(ContainSubstring("deny"))
		Expect(s.is("web", diagnosis.EndpointsAvailable)()).To(Equal(well))
		Expect(api.Delete(s, policy)).To(Succeed())
		s.answers("web")
		Eventually(s.events("web")).Should(ConsistOf("Warning NetworkPolicyDenies", "Normal Reachable"))
	})

	It("is a Local policy, on nodes that are named", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pod("web-1", "web", "10.1.0.1")
		s.service("web", func(service *corev1.Service) {
			service.Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyLocal)
		})
		Eventually(s.is("web", diagnosis.Reachable)).Should(Equal("True TrafficPolicyLocalWithoutLocalEndpoints"))
		Expect(s.says("web", diagnosis.Reachable)).To(And(ContainSubstring("node-b"), Not(ContainSubstring("node-a"))))

		By("filling the other node")
		s.pod("web-2", "web", "10.1.0.2", onNode("node-b"))
		s.answers("web")

		By("adding another")
		createNode(s, "node-new")
		DeferCleanup(func(ctx SpecContext) {
			Expect(client.IgnoreNotFound(api.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-new"}}))).To(Succeed())
		})
		Eventually(s.is("web", diagnosis.Reachable)).Should(Equal("True TrafficPolicyLocalWithoutLocalEndpoints"))
		Expect(s.says("web", diagnosis.Reachable)).To(ContainSubstring("node-new"))
		Expect(api.Delete(s, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-new"}})).To(Succeed())
		s.answers("web")
		Expect(s.events("web")()).To(BeEmpty(), "a hint is in the condition alone")
	})
})

var _ = Describe("Endpoints", func() {
	It("that an Endpoints object has no room for are told", func(ctx SpecContext) {
		s := newScene(ctx)
		addresses := make([]string, 0, 1001)
		for i := range 1001 {
			addresses = append(addresses, fmt.Sprintf("192.0.%d.%d", 2+i/250, 1+i%250))
		}
		Expect(api.Create(s, &corev1.Endpoints{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "web", Labels: map[string]string{"endpointslice.kubernetes.io/skip-mirror": "true"},
				Annotations: map[string]string{corev1.EndpointsOverCapacity: "truncated"}},
			Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: addresses[0]}}, Ports: []corev1.EndpointPort{{Name: "http", Port: 8080}}}},
		})).To(Succeed())
		s.slice("many", "web", addresses[:1000]...)
		one := s.slice("more", "web", addresses[1000])
		s.service("web", noSelector)
		Eventually(s.is("web", diagnosis.EndpointsAvailable)).Should(Equal("True Truncated"))
		Expect(s.says("web", diagnosis.EndpointsAvailable)).To(ContainSubstring("is cut, and names 1 endpoint;"))
		Expect(api.Delete(s, one)).To(Succeed())
		s.answers("web")
	})

	It("of the API server's own Service are sound", func(ctx SpecContext) {
		s := scene{ctx, metav1.NamespaceDefault}
		s.answers("kubernetes")
		Expect(s.is("kubernetes", diagnosis.AddressAllocated)()).To(Equal("True Allocated"))
		Expect(s.is("kubernetes", diagnosis.Conflicted)()).To(Equal("False NoConflict"))
		Expect(s.events("kubernetes")()).To(BeEmpty())
	})
})
