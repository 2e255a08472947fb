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
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("Damage", func() {
	It("to a slice's endpoints is repaired", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web")
		s.pod("web-1", "web", "1")
		Eventually(s.endpoints("web")).Should(HaveLen(1))
		slice := s.slices("web")[0]
		update(ctx, &slice, func(slice *discoveryv1.EndpointSlice) {
			slice.Endpoints[0].Addresses = []string{"192.0.2.66"}
		})
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, up}}))
		Expect(s.slices("web")).To(ConsistOf(HaveField("Name", slice.Name)), "repaired in place")
	})

	It("to a slice's labels is repaired", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web")
		s.pod("web-1", "web", "1")
		Eventually(s.endpoints("web")).Should(HaveLen(1))
		slice := s.slices("web")[0]
		update(ctx, &slice, func(slice *discoveryv1.EndpointSlice) { slice.Labels["team"] = "red" })
		Eventually(func() string { return s.slices("web")[0].Labels["team"] }).Should(Equal("blue"))
	})

	It("by deletion of a slice is repaired", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web")
		s.pod("web-1", "web", "1")
		Eventually(s.endpoints("web")).Should(HaveLen(1))
		slice := s.slices("web")[0]
		Expect(api.Delete(ctx, &slice)).To(Succeed())
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, up}}))
	})

	It("by a slice taken away to another Service is repaired", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web")
		s.pod("web-1", "web", "1")
		Eventually(s.endpoints("web")).Should(HaveLen(1))
		slice := s.slices("web")[0]
		update(ctx, &slice, func(slice *discoveryv1.EndpointSlice) { slice.Labels[discoveryv1.LabelServiceName] = "shop" })
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, up}}))
	})

	It("to an Endpoints object is repaired, and so is its deletion", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web")
		s.pod("web-1", "web", "1")
		want := []endpoint{{"10.1.0.1", 8080, "ready"}}
		Eventually(s.addresses("web")).Should(Equal(want))
		object, err := s.endpointsObject("web")
		Expect(err).NotTo(HaveOccurred())
		update(ctx, object, func(object *corev1.Endpoints) {
			object.Subsets[0].Addresses[0].IP = "192.0.2.66"
			delete(object.Labels, "endpoints.kubernetes.io/managed-by")
		})
		Eventually(s.addresses("web")).Should(Equal(want))
		Expect(api.Delete(ctx, object)).To(Succeed())
		Eventually(s.addresses("web")).Should(Equal(want))
	})
})

var _ = Describe("A node", func() {
	It("that is missing holds its pods back, until it appears", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web")
		s.pod("web-1", "web", "1")
		s.pod("web-2", "web", "2", onNode("node-late"))
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, up}}))
		Eventually(s.addresses("web")).Should(HaveLen(2), "Endpoints do not ask for the node")
		createNode(ctx, "node-late", "zone-b")
		Eventually(s.endpoints("web")).Should(HaveLen(2))
	})

	It("that goes takes its endpoints along, and brings them back", func(ctx SpecContext) {
		s := newScene(ctx)
		createNode(ctx, "node-leaving", "zone-b")
		s.service("web")
		s.service("bootstrap", headless, func(spec *corev1.ServiceSpec) {
			spec.PublishNotReadyAddresses, spec.Selector = true, map[string]string{"app": "web"}
		})
		s.pod("web-1", "web", "1")
		s.pod("web-2", "web", "2", onNode("node-leaving"))
		both := []endpoint{{"10.1.0.1", 8080, up}, {"10.1.0.2", 8080, up}}
		Eventually(s.endpoints("web")).Should(Equal(both))
		Eventually(s.addresses("web")).Should(HaveLen(2))
		zones := func() map[string]string {
			found := map[string]string{}
			for _, slice := range s.slices("bootstrap") {
				for _, e := range slice.Endpoints {
					found[e.Addresses[0]] = ptr.Deref(e.Zone, "")
				}
			}
			return found
		}
		Eventually(zones).Should(Equal(map[string]string{"10.1.0.1": "zone-a", "10.1.0.2": "zone-b"}))
		Expect(api.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-leaving"}})).To(Succeed())
		Eventually(s.endpoints("web")).Should(Equal(both[:1]))
		Eventually(zones).Should(Equal(map[string]string{"10.1.0.1": "zone-a", "10.1.0.2": ""}), "it is told of all, but nobody knows the zone")
		Expect(s.addresses("web")()).To(HaveLen(2), "Endpoints do not ask for the node")
		createNode(ctx, "node-leaving", "zone-b")
		Eventually(s.endpoints("web")).Should(Equal(both))
		Eventually(zones).Should(HaveKeyWithValue("10.1.0.2", "zone-b"))
	})

	It("that moves to another zone takes its endpoints along", func(ctx SpecContext) {
		s := newScene(ctx)
		createNode(ctx, "node-moving", "zone-a")
		s.service("web", func(spec *corev1.ServiceSpec) {
			spec.TrafficDistribution = new(corev1.ServiceTrafficDistributionPreferSameZone)
		})
		s.pod("web-1", "web", "1", onNode("node-moving"))
		zone := func() []string {
			slice := s.slices("web")
			if len(slice) == 0 || len(slice[0].Endpoints) == 0 || slice[0].Endpoints[0].Hints == nil {
				return nil
			}
			e := slice[0].Endpoints[0]
			return []string{ptr.Deref(e.Zone, ""), e.Hints.ForZones[0].Name}
		}
		other := newScene(ctx)
		other.service("plain", headless)
		other.pod("plain-1", "plain", "2", onNode("node-moving"))
		plain := func() string {
			slice := other.slices("plain")
			if len(slice) == 0 || len(slice[0].Endpoints) == 0 {
				return ""
			}
			return ptr.Deref(slice[0].Endpoints[0].Zone, "")
		}
		Eventually(zone).Should(Equal([]string{"zone-a", "zone-a"}))
		Eventually(plain).Should(Equal("zone-a"))
		update(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-moving"}},
			func(node *corev1.Node) { node.Labels[corev1.LabelTopologyZone] = "zone-b" })
		Eventually(zone).Should(Equal([]string{"zone-b", "zone-b"}))
		Eventually(plain).Should(Equal("zone-b"))
	})
})

var _ = Describe("trafficDistribution", func() {
	It("gives ready endpoints hints, and takes them back", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web", func(spec *corev1.ServiceSpec) {
			spec.TrafficDistribution = new(corev1.ServiceTrafficDistributionPreferSameNode)
		})
		s.pod("web-1", "web", "1")
		s.pod("web-2", "web", "2", onNode("node-b"))
		hints := func() map[string]discoveryv1.EndpointHints {
			found := map[string]discoveryv1.EndpointHints{}
			for _, slice := range s.slices("web") {
				for _, e := range slice.Endpoints {
					found[e.Addresses[0]] = ptr.Deref(e.Hints, discoveryv1.EndpointHints{})
				}
			}
			return found
		}
		hint := func(zone, node string) discoveryv1.EndpointHints {
			return discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: zone}}, ForNodes: []discoveryv1.ForNode{{Name: node}}}
		}
		Eventually(hints).Should(Equal(map[string]discoveryv1.EndpointHints{
			"10.1.0.1": hint("zone-a", "node-a"), "10.1.0.2": hint("zone-b", "node-b"),
		}))
		s.updateService("web", func(service *corev1.Service) { service.Spec.TrafficDistribution = nil })
		Eventually(hints).Should(Equal(map[string]discoveryv1.EndpointHints{"10.1.0.1": {}, "10.1.0.2": {}}))
	})
})

var _ = Describe("topology-mode Auto", Serial, func() {
	It("spreads hints by the zones' CPU, and not with too few endpoints", func(ctx SpecContext) {
		for _, name := range []string{"node-a", "node-b"} {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
			Expect(api.Get(ctx, client.ObjectKeyFromObject(node), node)).To(Succeed())
			node.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4")}
			node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
			Expect(api.Status().Update(ctx, node)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) {
				node.Status.Conditions[0].Status = corev1.ConditionFalse
				Expect(api.Status().Update(ctx, node)).To(Succeed())
			})
		}
		s := newScene(ctx)
		s.service("web")
		s.updateService("web", func(service *corev1.Service) {
			service.Annotations = map[string]string{corev1.AnnotationTopologyMode: "Auto"}
		})
		zones := func() map[string]int {
			counted := map[string]int{}
			for _, slice := range s.slices("web") {
				for _, e := range slice.Endpoints {
					for _, zone := range ptr.Deref(e.Hints, discoveryv1.EndpointHints{}).ForZones {
						counted[zone.Name]++
					}
				}
			}
			return counted
		}
		s.pod("web-1", "web", "1")
		Eventually(s.endpoints("web")).Should(HaveLen(1))
		Expect(zones()).To(BeEmpty())
		for i, node := range []string{"node-a", "node-b", "node-b"} {
			s.pod(fmt.Sprint("more-", i), "web", fmt.Sprint(i+2), onNode(node))
		}
		Eventually(zones).Should(Equal(map[string]int{"zone-a": 2, "zone-b": 2}))
		Eventually(s.events("web")).Should(ContainElement("TopologyAwareHintsEnabled"))
		s.updateService("web", func(service *corev1.Service) { service.Annotations = nil })
		Eventually(zones).Should(BeEmpty())
		Eventually(s.events("web")).Should(ContainElement("TopologyAwareHintsDisabled"))
	})
})
