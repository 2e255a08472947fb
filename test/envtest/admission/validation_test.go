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

package admission

import (
	"context"
	"errors"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/validation"
)

// What package validation says, which test/differential holds against the
// server's code, is here held against a server: one object or more of each row.
// No manager runs, and no policy has anything to say.
var _ = Describe("The API server's own validation", func() {
	var namespace string
	server := validation.Options{IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}}

	BeforeEach(func() { namespace = newNamespace(nil) })

	expectSame := func(answer error, ours field.ErrorList) {
		GinkgoHelper()
		Expect(ours).NotTo(BeEmpty(), "the row shows nothing")
		status := apierrors.APIStatus(nil)
		Expect(errors.As(answer, &status)).To(BeTrue(), "%v", answer)
		var want, got []string
		for _, cause := range status.Status().Details.Causes {
			want = append(want, cause.Field+": "+cause.Message)
		}
		for _, err := range ours {
			got = append(got, err.Error())
		}
		slices.Sort(want)
		slices.Sort(got)
		Expect(got).To(Equal(want))
	}

	type edit = func(svc *corev1.Service)
	headless := func(svc *corev1.Service) { svc.Spec.ClusterIP = corev1.ClusterIPNone }
	kind := func(t corev1.ServiceType, others ...edit) edit {
		return func(svc *corev1.Service) {
			svc.Spec.Type = t
			for _, other := range others {
				other(svc)
			}
		}
	}
	second := func(svc *corev1.Service) { svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Port: 81}) }

	DescribeTable("refuses a Service with our words", func(change edit) {
		svc := makeService(namespace, "web").Service
		change(svc)
		_, ours := validation.Manifest(svc, server)
		expectSame(dryRun(svc), ours)
	},
		Entry("V1 a name", func(svc *corev1.Service) { svc.Name = "web_1" }),
		Entry("V2 topology annotations", func(svc *corev1.Service) {
			svc.Annotations = map[string]string{"service.kubernetes.io/topology-mode": "Auto", "service.kubernetes.io/topology-aware-hints": "auto"}
		}),
		Entry("V3 no ports", func(svc *corev1.Service) { svc.Spec.Ports = nil }),
		Entry("V4 a headless load balancer", kind(corev1.ServiceTypeLoadBalancer, headless)),
		Entry("V5 an ExternalName with an address", kind(corev1.ServiceTypeExternalName, func(svc *corev1.Service) { svc.Spec.ClusterIP = "10.0.0.20" })),
		Entry("V6 ports without names", second),
		Entry("V7 a port and a protocol", func(svc *corev1.Service) { svc.Spec.Ports[0].Port, svc.Spec.Ports[0].Protocol = 65536, "ICMP" }),
		Entry("V8 a targetPort", func(svc *corev1.Service) { svc.Spec.Ports[0].TargetPort = intstr.FromString("80--a") }),
		Entry("V9 affinity", func(svc *corev1.Service) {
			svc.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
			svc.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr.To[int32](86401)}}
		}),
		Entry("V10 external IPs", func(svc *corev1.Service) { svc.Spec.ExternalIPs = []string{"127.0.0.1", "0.0.0.0", "010.0.0.1"} }),
		Entry("V11 a type", kind("NodeIP")),
		Entry("V12 a node port of a ClusterIP Service", kind(corev1.ServiceTypeClusterIP, func(svc *corev1.Service) { svc.Spec.Ports[0].NodePort = 30080 })),
		Entry("V13 source ranges", func(svc *corev1.Service) { svc.Spec.LoadBalancerSourceRanges = []string{"192.0.2.1/24"} }),
		Entry("V14 fields of load balancers", func(svc *corev1.Service) {
			svc.Spec.AllocateLoadBalancerNodePorts, svc.Spec.LoadBalancerClass = new(true), new("a/b/c")
		}),
		Entry("V15 a policy of who is reached from outside", func(svc *corev1.Service) { svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal }),
		Entry("V16 a health check that nobody needs", func(svc *corev1.Service) { svc.Spec.HealthCheckNodePort = 30081 }),
		Entry("V17 policies", func(svc *corev1.Service) {
			svc.Spec.InternalTrafficPolicy, svc.Spec.TrafficDistribution = ptr.To(corev1.ServiceInternalTrafficPolicy("Near")), new("Near")
		}),
		Entry("V18 addresses", func(svc *corev1.Service) {
			svc.Spec.ClusterIP, svc.Spec.ClusterIPs = "10.0.0.20", []string{"10.0.0.21"}
		}),
		Entry("V19 families", func(svc *corev1.Service) { svc.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol} }),
		Entry("V19 a policy of families", func(svc *corev1.Service) { svc.Spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicyRequireDualStack) }),
	)

	DescribeTable("refuses an update with our words", func(change edit) {
		svc := makeService(namespace, "web").Service
		Expect(create(svc)).To(Succeed())
		before := svc.DeepCopy()
		change(svc)
		_, ours := validation.ManifestUpdate(before, svc, server)
		expectSame(api.Update(context.Background(), svc, client.DryRunAll), ours)
	},
		Entry("V20 another address", func(svc *corev1.Service) {
			svc.Spec.ClusterIP, svc.Spec.ClusterIPs = "10.0.0.20", []string{"10.0.0.20"}
		}),
		Entry("V20 another family", func(svc *corev1.Service) { svc.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol} }),
	)

	It("refuses a status with our words (V21)", func() {
		svc := makeService(namespace, "web").Service
		Expect(create(svc)).To(Succeed())
		before := svc.DeepCopy()
		svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.300", IPMode: ptr.To(corev1.LoadBalancerIPMode("DSR"))}, {Hostname: "192.0.2.1"}}
		expectSame(api.Status().Update(context.Background(), svc.DeepCopy()), validation.ValidateServiceStatusUpdate(before, svc, server))
	})

	It("warns with our words (V22)", func() {
		svc := makeService(namespace, "web").external("192.0.2.80").Service
		headless(svc)
		svc.Spec.LoadBalancerIP, svc.Spec.SessionAffinity, svc.Spec.TrafficDistribution = "192.0.2.81", corev1.ServiceAffinityClientIP, new("PreferClose")
		svc.Annotations = map[string]string{"service.kubernetes.io/topology-aware-hints": "Auto"}
		defaulted, _ := validation.Manifest(svc, server)
		var ours []string
		for _, warning := range validation.ServiceWarnings(defaulted) {
			ours = append(ours, warning.Text)
		}
		Expect(len(ours)).To(BeNumerically(">=", 5))
		_, err := warnings.during(func() error { return dryRun(svc) })
		Expect(err).NotTo(HaveOccurred())
		warnings.mu.Lock()
		defer warnings.mu.Unlock()
		Expect(warnings.text).To(ContainElements(ours))
	})

	It("fills in what we fill in (V23)", func() {
		for _, svc := range []*corev1.Service{
			makeService(namespace, "web").Service,
			makeService(namespace, "lb").balanced().Service,
			makeService(namespace, "alias").alias("example.org").Service,
		} {
			ours := svc.DeepCopy()
			validation.Default(ours)
			Expect(api.Create(context.Background(), svc, client.DryRunAll)).To(Succeed())
			for i := range svc.Spec.Ports { // what allocation has filled in after that
				svc.Spec.Ports[i].NodePort = 0
			}
			svc.Spec.ClusterIP, svc.Spec.ClusterIPs, svc.Spec.IPFamilies, svc.Spec.IPFamilyPolicy = "", nil, nil, nil
			Expect(ours.Spec).To(Equal(svc.Spec))
		}
	})

	It("refuses Endpoints with our words (V30)", func() {
		for _, subsets := range [][]corev1.EndpointSubset{
			{{}},
			{{Addresses: []corev1.EndpointAddress{{IP: "10.0.0"}, {IP: "127.0.0.1", Hostname: "A"}, {IP: "192.0.2.1", NodeName: new("")}},
				Ports: []corev1.EndpointPort{{Name: "a", Port: 70000}, {Port: 1, Protocol: "ICMP"}}}},
		} {
			endpoints := makeEndpoints(namespace, "web", "192.0.2.1")
			endpoints.Subsets = subsets
			_, ours := validation.ManifestEndpoints(endpoints, server)
			expectSame(dryRun(endpoints), ours)
		}
	})

	It("refuses EndpointSlices with our words (V31)", func() {
		for _, change := range []func(slice *discoveryv1.EndpointSlice){
			func(slice *discoveryv1.EndpointSlice) { slice.AddressType = "IPv5" },
			func(slice *discoveryv1.EndpointSlice) { slice.Endpoints[0].Addresses = []string{"fd00::1"} },
			func(slice *discoveryv1.EndpointSlice) { slice.Endpoints[0].Addresses = nil },
			func(slice *discoveryv1.EndpointSlice) { slice.Endpoints[0].Hostname = new("A") },
			func(slice *discoveryv1.EndpointSlice) {
				slice.Endpoints[0].Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "a"}, {Name: "a"}}}
			},
			func(slice *discoveryv1.EndpointSlice) { slice.Ports = append(slice.Ports, slice.Ports[0]) },
		} {
			slice := makeSlice(namespace, "web-1", "192.0.2.1")
			change(slice)
			_, ours := validation.ManifestEndpointSlice(slice, server)
			expectSame(dryRun(slice), ours)
		}
	})
})
