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

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
)

var _ = Describe("The rules", Ordered, func() {
	var namespace string

	BeforeAll(func() {
		manager := start()
		DeferCleanup(manager.stop)
	})
	BeforeEach(func() { namespace = newNamespace(nil) })

	Describe("X1, an external IP and port in use", func() {
		It("is refused with the holder's name, and other ports of the address are not", func() {
			Expect(create(makeService(namespace, "holder").external("203.0.113.1").Service)).To(Succeed())
			Eventually(dryRun).WithArguments(makeService(namespace, "web").external("203.0.113.1").Service).
				Should(beRefused("spec.externalIPs[0]", "Service "+namespace+"/holder already serves port 80/TCP", "rule X1"))
			Expect(create(makeService(namespace, "web").external("203.0.113.1").port(81).Service)).To(Succeed())
		})

		It("does not tell who the holder is to one who may not read it", func() {
			Expect(create(makeService(namespace, "secret").external("203.0.113.9").Service)).To(Succeed())
			Eventually(dryRun).WithArguments(makeService(namespace, "probe").external("203.0.113.9").Service).Should(beRefused(namespace + "/secret"))

			mine := newNamespace(nil)
			tenant := tenantOf(mine)
			err := tenant.Create(context.Background(), makeService(mine, "web").external("203.0.113.9").Service)
			Expect(err).To(beRefused("a Service of another namespace already serves port 80/TCP"))
			Expect(err).NotTo(MatchError(ContainSubstring("secret")))
		})

		It("is free again at once when its holder is deleted", func() {
			holder := makeService(namespace, "holder").external("203.0.113.2").Service
			Expect(create(holder)).To(Succeed())
			Eventually(dryRun).WithArguments(makeService(namespace, "web").external("203.0.113.2").Service).Should(beRefused())
			Expect(api.Delete(context.Background(), holder)).To(Succeed())
			Expect(create(makeService(namespace, "web").external("203.0.113.2").Service)).To(Succeed())
		})

		It("is noticed on an update", func() {
			Expect(create(makeService(namespace, "holder").external("203.0.113.3").Service)).To(Succeed())
			Eventually(dryRun).WithArguments(makeService(namespace, "probe").external("203.0.113.3").Service).Should(beRefused())
			web := makeService(namespace, "web").Service
			Expect(create(web)).To(Succeed())
			web.Spec.ExternalIPs = []string{"203.0.113.3"}
			Expect(api.Update(context.Background(), web)).To(beRefused("rule X1"))
		})
	})

	Describe("X2, a load-balancer IP and port in use", func() {
		It("is refused on the status of the second Service", func() {
			first, second := makeService(namespace, "first").balanced().Service, makeService(namespace, "second").balanced().Service
			Expect(create(first)).To(Succeed())
			Expect(create(second)).To(Succeed())
			Expect(setIngress(first, "198.51.100.1")).To(Succeed())
			wish := makeService(namespace, "wish").balanced()
			wish.Spec.LoadBalancerIP = "198.51.100.1"
			Eventually(dryRun).WithArguments(wish.Service).Should(beRefused("spec.loadBalancerIP"))
			Expect(setIngress(second, "198.51.100.1")).
				To(beRefused("status.loadBalancer.ingress[0].ip", namespace+"/first", "rule X2"))
			Expect(api.Get(context.Background(), client.ObjectKeyFromObject(second), second)).To(Succeed())
			Expect(setIngress(second, "198.51.100.2")).To(Succeed())
		})
	})

	Describe("X3, an address that the cluster keeps for itself", func() {
		It("is refused inside a ServiceCIDR", func() {
			Expect(dryRun(makeService(namespace, "web").external("10.0.0.5").Service)).
				To(beRefused("10.0.0.0/24 of ServiceCIDR kubernetes", "rule X3"))
		})

		It("is refused when it is a ClusterIP, named with its Service", func() {
			var kubernetes corev1.Service
			Expect(api.Get(context.Background(), client.ObjectKey{Namespace: "default", Name: "kubernetes"}, &kubernetes)).To(Succeed())
			Expect(dryRun(makeService(namespace, "web").external(kubernetes.Spec.ClusterIP).Service)).
				To(beRefused("this is the ClusterIP of Service default/kubernetes"))
		})

		It("is refused when it is where the API server answers", func() {
			var endpoints corev1.Endpoints
			Expect(api.Get(context.Background(), client.ObjectKey{Namespace: "default", Name: "kubernetes"}, &endpoints)).To(Succeed())
			at := endpoints.Subsets[0]
			Expect(dryRun(makeService(namespace, "web").external(at.Addresses[0].IP).port(at.Ports[0].Port).Service)).
				To(beRefused("spec.externalIPs[0]", "API server", "rule X3"))
		})

		It("is refused on the status, too", func() {
			web := makeService(namespace, "web").balanced().Service
			Expect(create(web)).To(Succeed())
			Expect(setIngress(web, "10.0.0.6")).To(beRefused("status.loadBalancer.ingress[0].ip", "rule X3"))
		})
	})

	Describe("X8, a Service as an endpoint", func() {
		It("is refused in Endpoints and in EndpointSlices", func() {
			Expect(dryRun(makeEndpoints(namespace, "web", "10.0.0.1"))).
				To(beRefused("subsets[0].addresses[0].ip", "Service default/kubernetes", "rule X8"))
			Expect(dryRun(makeSlice(namespace, "web-1", "10.0.0.7"))).
				To(beRefused("endpoints[0].addresses[0]", "ServiceCIDR", "rule X8"))
			Expect(create(makeEndpoints(namespace, "web", "192.0.2.1"))).To(Succeed())
			Expect(create(makeSlice(namespace, "web-1", "192.0.2.1"))).To(Succeed())
		})

		It("is not asked of Kubernetes' own controllers, whatever a user's labels say", func() {
			slice := makeSlice(namespace, "copied", "10.0.0.7")
			slice.Labels["endpointslice.kubernetes.io/managed-by"] = "endpointslice-controller.k8s.io"
			Expect(dryRun(slice)).To(beRefused("rule X8"))

			config := rest.CopyConfig(admin)
			config.Impersonate = rest.ImpersonationConfig{
				UserName: "system:serviceaccount:kube-system:endpointslice-controller", Groups: []string{"system:masters"}}
			controller, err := client.New(config, client.Options{Scheme: scheme.Scheme})
			Expect(err).NotTo(HaveOccurred())
			Expect(controller.Create(context.Background(), slice, client.FieldOwner("kubectl"))).To(Succeed())
		})
	})

	Describe("X11, a named targetPort that pods do not declare", func() {
		It("is a warning that reaches the client, and no matching pod is none", func() {
			web := makeService(namespace, "web").selects("web").targets("http").Service
			Expect(warnings.during(func() error { return dryRun(web) })).To(BeEmpty())

			Expect(create(makePod(namespace, "a", "web"))).To(Succeed())
			Eventually(warnings.during).WithArguments(func() error { return dryRun(web) }).Should(ConsistOf(
				"spec.ports[0].targetPort: none of the 1 matching pods declares a TCP port of this name " +
					"(pod " + namespace + "/a declares web/TCP), so there is no endpoint for it (rule X11)"))
			Expect(create(makePod(namespace, "b", "http"))).To(Succeed())
			Eventually(warnings.during).WithArguments(func() error { return dryRun(web) }).Should(
				ConsistOf(ContainSubstring("1 of 2 matching pods")))

			By("not telling one who may not read pods which they are")
			tenant := tenantOf(namespace)
			Eventually(warnings.during).WithArguments(func() error { return dryRunAs(tenant, web) }).Should(ConsistOf(And(
				ContainSubstring("some matching pods declare no TCP port of this name"), Not(ContainSubstring("/a")))))
		})
	})

	Describe("X12, a selector in use", func() {
		It("is a warning that names the other Service", func() {
			Expect(create(makeService(namespace, "first").selects("web").Service)).To(Succeed())
			second := makeService(namespace, "second").selects("web").Service
			Eventually(warnings.during).WithArguments(func() error { return dryRun(second) }).Should(
				ConsistOf(ContainSubstring("Service " + namespace + "/first selects the same pods")))
			Expect(warnings.during(func() error { return dryRun(makeService(namespace, "third").selects("db").Service) })).To(BeEmpty())
		})
	})

	Describe("X4, an external IP of a node or a pod", func() {
		It("is refused with the name of the node, or of the pod", func() {
			makeNode("edge-1", "192.0.2.11", "10.244.11.0/24")
			startPod(namespace, "db", "edge-1", "10.99.0.1")
			Eventually(dryRun).WithArguments(makeService(namespace, "web").external("192.0.2.11").port(10250).Service).
				Should(beRefused("this is the address of node edge-1, where the kubelet listens at port 10250/TCP", "rule X4"))
			Eventually(dryRun).WithArguments(makeService(namespace, "web").external("10.244.11.77").Service).
				Should(beRefused("inside the podCIDRs of node edge-1", "rule X4"))
			Eventually(dryRun).WithArguments(makeService(namespace, "web").external("10.99.0.1").Service).
				Should(beRefused("this is the address of pod "+namespace+"/db", "rule X4"))
			Expect(dryRun(makeService(namespace, "web").external("192.0.2.12").Service)).To(Succeed())

			By("telling a stranger no names")
			mine := newNamespace(nil)
			tenant := tenantOf(mine)
			Expect(dryRunAs(tenant, makeService(mine, "web").external("10.99.0.1").Service)).
				To(beRefused("this is the address of a pod of another namespace"))
			Expect(dryRunAs(tenant, makeService(mine, "web").external("192.0.2.11").port(22).Service)).
				To(beRefused("this is the address of a node, where SSH listens"))
		})
	})

	Describe("X6, a node port that is in use on nodes", func() {
		It("is refused for a hostPort and free when its pod is gone", func() {
			proxy := startPod(namespace, "proxy", "edge-6", "10.99.0.6", 30066)
			web := makeService(namespace, "web").nodePort(30066).Service
			Eventually(dryRun).WithArguments(web).Should(beRefused(
				"spec.ports[0].nodePort", "pod "+namespace+"/proxy listens at port 30066/TCP of its node", "rule X6"))
			Expect(dryRun(makeService(namespace, "web").nodePort(30067).Service)).To(Succeed())
			Expect(api.Delete(context.Background(), proxy, client.GracePeriodSeconds(0))).To(Succeed())
			Expect(dryRun(web)).To(Succeed())
		})

		It("is refused for a pod in its node's network, and for a kubelet", func() {
			makeNode("edge-6", "192.0.2.6", "10.244.6.0/24")
			exporter := makePod(namespace, "exporter", "metrics")
			exporter.Spec.NodeName, exporter.Spec.HostNetwork = "edge-6", true
			exporter.Spec.Containers[0].Ports[0].ContainerPort = 30068
			Expect(create(exporter)).To(Succeed())
			exporter.Status.StartTime = new(metav1.Now())
			Expect(api.Status().Update(context.Background(), exporter)).To(Succeed())
			Eventually(dryRun).WithArguments(makeService(namespace, "web").nodePort(30068).Service).Should(beRefused(
				"pod "+namespace+"/exporter listens at port 30068/TCP of its node", "ask for another port", "rule X6"))

			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "edge-6"}}
			Expect(api.Get(context.Background(), client.ObjectKeyFromObject(node), node)).To(Succeed())
			node.Status.DaemonEndpoints.KubeletEndpoint.Port = 30069
			Expect(api.Status().Update(context.Background(), node)).To(Succeed())
			Eventually(dryRun).WithArguments(makeService(namespace, "web").nodePort(30069).Service).Should(
				beRefused("the kubelet of node edge-6 listens at port 30069/TCP", "rule X6"))
		})
	})

	Describe("X9, a pod of another namespace as an endpoint (CVE-2021-25740)", func() {
		It("is refused to a user of one namespace, in either kind, on create and on update", func() {
			victim := newNamespace(nil)
			startPod(victim, "secret-db", "edge-9", "10.99.0.9")
			startPod(namespace, "own", "edge-9", "10.99.0.10")
			tenant := tenantOf(namespace)
			Eventually(dryRunAs).WithArguments(tenant, makeEndpoints(namespace, "web", "10.99.0.9")).Should(beRefused(
				"subsets[0].addresses[0].ip", "this is the address of a pod of another namespace", "CVE-2021-25740", "rule X9"))
			err := dryRunAs(tenant, makeSlice(namespace, "web-1", "10.99.0.9"))
			Expect(err).To(beRefused("endpoints[0].addresses[0]", "rule X9"))
			Expect(err).NotTo(MatchError(ContainSubstring("secret-db")))

			slice := makeSlice(namespace, "web-1", "10.99.0.10")
			Expect(tenant.Create(context.Background(), slice)).To(Succeed())
			slice.Endpoints[0].Addresses = []string{"10.99.0.9"}
			Expect(tenant.Update(context.Background(), slice)).To(beRefused("rule X9"))

			By("naming the pod to one who may read it, who is refused as well")
			Expect(dryRun(makeSlice(namespace, "web-2", "10.99.0.9"))).To(beRefused("pod " + victim + "/secret-db"))
		})
	})

	Describe("X10, a slice of a selector Service that nobody manages", func() {
		It("is refused, and one with a manager is not", func() {
			Expect(create(makeService(namespace, "web").selects("web").Service)).To(Succeed())
			rogue := makeSlice(namespace, "web-rogue", "192.0.2.66")
			rogue.Labels = map[string]string{"kubernetes.io/service-name": "web"}
			Eventually(dryRun).WithArguments(rogue).Should(beRefused(
				"metadata.labels[kubernetes.io/service-name]", "Service "+namespace+"/web selects its endpoints itself", "rule X10"))
			rogue.Labels["endpointslice.kubernetes.io/managed-by"] = "endpointslice-controller.k8s.io"
			Expect(dryRun(rogue)).To(beRefused("rule X10"))
			rogue.Labels["endpointslice.kubernetes.io/managed-by"] = "mesh.example.com"
			Expect(dryRun(rogue)).To(Succeed())
		})

		It("is refused more addresses when it was there first, and may lose them", func() {
			rogue := makeSlice(namespace, "web-rogue", "192.0.2.66")
			rogue.Labels = map[string]string{"kubernetes.io/service-name": "web"}
			Expect(create(rogue)).To(Succeed(), "there is no such Service yet")
			Expect(create(makeService(namespace, "web").selects("web").Service)).To(Succeed())
			other := makeSlice(namespace, "web-other", "192.0.2.67")
			other.Labels = rogue.Labels
			Eventually(dryRun).WithArguments(other).Should(beRefused("rule X10"), "the Service is known")
			rogue.Endpoints = append(rogue.Endpoints, discoveryv1.Endpoint{Addresses: []string{"192.0.2.67"}})
			Expect(api.Update(context.Background(), rogue.DeepCopy())).To(beRefused("selects its endpoints itself", "rule X10"))
			rogue.Endpoints = nil
			Expect(api.Update(context.Background(), rogue)).To(Succeed())
		})
	})

	Describe("X15, an ExternalName that leads nowhere", func() {
		It("is refused for localhost and for a cycle, and warned of for ports", func() {
			Expect(dryRun(makeService(namespace, "web").alias("localhost").Service)).
				To(beRefused("spec.externalName", "leads each client to itself", "rule X15"))
			Expect(create(makeService(namespace, "a").alias("b." + namespace + ".svc.cluster.local").Service)).To(Succeed())
			Eventually(dryRun).WithArguments(makeService(namespace, "b").alias("a." + namespace + ".svc.cluster.local").Service).
				Should(beRefused("Service "+namespace+"/a leads back to this Service", "rule X15"))
			withPort := makeService(namespace, "c").alias("kubernetes.default.svc.cluster.local").Service
			withPort.Spec.Ports = []corev1.ServicePort{{Port: 8443}}
			Expect(warnings.during(func() error { return dryRun(withPort) })).To(
				ConsistOf(And(ContainSubstring("are not translated"), ContainSubstring("rule X15"))))
		})
	})

	// What these find is a warning, which the client of the user gets.
	It("warn of the rest: X13, X14, X16, X17 and X18", func() {
		said := func(svc *corev1.Service, words ...string) {
			GinkgoHelper()
			var matchers []gomegatypes.GomegaMatcher
			for _, word := range words {
				matchers = append(matchers, ContainSubstring(word))
			}
			Eventually(warnings.during).WithArguments(func() error { return dryRun(svc) }).Should(ConsistOf(And(matchers...)))
		}
		By("X13: a family that no pod has")
		startPod(namespace, "a", "edge-13", "fd00:99::1")
		said(makeService(namespace, "web").selects("web").Service,
			"spec.ipFamilies[0]: no matching pod has an IPv4 address", "rule X13")

		By("X14: variables of one name")
		Expect(create(makeService(namespace, "db").Service)).To(Succeed())
		said(makeService(namespace, "db-service").Service, "metadata.name: Service "+namespace+"/db sets DB_SERVICE_PORT", "rule X14")

		By("X16: hostnames of one name")
		for _, name := range []string{"b", "c"} {
			pod := makePod(namespace, name, "http")
			pod.Labels, pod.Spec.Hostname, pod.Spec.Subdomain = map[string]string{"app": "cache"}, "node-0", "cache"
			Expect(create(pod)).To(Succeed())
		}
		headless := makeService(namespace, "cache").selects("cache").Service
		headless.Spec.ClusterIP = corev1.ClusterIPNone
		said(headless, "both have the hostname node-0", "rule X16")

		By("X17: a class nobody serves, until somebody does")
		classy := makeService(namespace, "classy").balanced().Service
		classy.Spec.LoadBalancerClass = new("example.com/lb")
		said(classy, "spec.loadBalancerClass", "rule X17")
		first := classy.DeepCopy()
		first.Name = "first"
		Expect(create(first)).To(Succeed())
		Expect(setIngress(first, "198.51.100.17")).To(Succeed())
		Eventually(warnings.during).WithArguments(func() error { return dryRun(classy) }).Should(BeEmpty())

		By("X18: a key that only one side shares")
		theirs := newNamespace(nil)
		shared := makeService(theirs, "shared").balanced().Service
		shared.Annotations = map[string]string{v1alpha1.SharingKeyAnnotation: namespace}
		Expect(create(shared)).To(Succeed())
		mine := makeService(namespace, "mine").balanced().Service
		mine.Annotations = map[string]string{v1alpha1.SharingKeyAnnotation: namespace, v1alpha1.SharingNamespacesAnnotation: theirs}
		said(mine, "Service "+theirs+"/shared has this key and does not name this namespace", "rule X18")
	})

	It("warn of one address for Services that keep to their nodes and have other endpoints (X18)", func() {
		local := func(name string) *corev1.Service {
			svc := makeService(namespace, name).balanced().selects(name).Service
			svc.Annotations = map[string]string{v1alpha1.SharingKeyAnnotation: namespace}
			svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
			return svc
		}
		Expect(create(local("a"))).To(Succeed())
		Eventually(warnings.during).WithArguments(func() error { return dryRun(local("b")) }).Should(ConsistOf(And(
			ContainSubstring("Service "+namespace+"/a shares the address and has other endpoints"), ContainSubstring("rule X18"))))
	})

	Describe("Labels of a namespace", func() {
		It("change a rule there, and a user of the namespace can not set them", func() {
			soft := newNamespace(map[string]string{"rule.switchyard.dev/X3": "warn", "rule.switchyard.dev/X12": "off"})
			Expect(warnings.during(func() error { return dryRun(makeService(soft, "web").external("10.0.0.15").Service) })).
				To(ConsistOf(And(ContainSubstring("spec.externalIPs[0]"), ContainSubstring("rule X3"))))
			Expect(dryRun(makeService(namespace, "web").external("10.0.0.15").Service)).To(beRefused("rule X3"))

			own := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
			patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"rule.switchyard.dev/X3":"off"}}}`))
			Expect(tenantOf(namespace).Patch(context.Background(), own, patch)).To(Satisfy(apierrors.IsForbidden))
			Expect(api.Patch(context.Background(), own, patch)).To(Succeed())
			Eventually(dryRun).WithArguments(makeService(namespace, "web").external("10.0.0.15").Service).Should(Succeed())
		})
	})

	It("leave alone what a cluster needs to boot", func() {
		dns := makeService("kube-system", "coredns-of-another-name").external("10.0.0.8").labels(map[string]string{"k8s-app": "kube-dns"}).Service
		Expect(create(dns)).To(Succeed())
		Expect(create(makeService(systemNamespace, "ours").external("10.0.0.9").Service)).To(Succeed())
		Expect(dryRun(makeService("kube-system", "other").external("10.0.0.11").Service)).To(beRefused())
	})

	It("refuse an object whose name is not known yet", func() {
		web := makeService(namespace, "").external("10.0.0.13").Service
		web.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, GenerateName: "web-"}
		Expect(dryRun(web)).To(beRefused(`Service "web-`))
	})
})
