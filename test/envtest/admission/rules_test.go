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
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
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
			slice.Labels = map[string]string{"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
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
					"(pod a declares web/TCP), so there is no endpoint for it (rule X11)"))
			Expect(create(makePod(namespace, "b", "http"))).To(Succeed())
			Eventually(warnings.during).WithArguments(func() error { return dryRun(web) }).Should(
				ConsistOf(ContainSubstring("1 of 2 matching pods")))
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

	It("leave alone what a cluster needs to boot", func() {
		dns := makeService("kube-system", "coredns-of-another-name").external("10.0.0.8").labels(map[string]string{"k8s-app": "kube-dns"}).Service
		Expect(create(dns)).To(Succeed())
		Expect(create(makeService(systemNamespace, "ours").external("10.0.0.9").Service)).To(Succeed())

		var kubernetes corev1.Service
		Expect(api.Get(context.Background(), client.ObjectKey{Namespace: "default", Name: "kubernetes"}, &kubernetes)).To(Succeed())
		kubernetes.Spec.ExternalIPs = []string{"10.0.0.10"}
		Expect(api.Update(context.Background(), &kubernetes, client.DryRunAll)).To(Succeed())
		Expect(dryRun(makeService("kube-system", "other").external("10.0.0.11").Service)).To(beRefused())
	})

	It("let go of what is being deleted", func() {
		web := makeService(namespace, "web").Service
		controllerutil.AddFinalizer(web, "switchyard.dev/test")
		Expect(create(web)).To(Succeed())
		Expect(api.Delete(context.Background(), web)).To(Succeed())
		Expect(api.Get(context.Background(), client.ObjectKeyFromObject(web), web)).To(Succeed())
		web.Spec.ExternalIPs = []string{"10.0.0.12"}
		controllerutil.RemoveFinalizer(web, "switchyard.dev/test")
		Expect(api.Update(context.Background(), web)).To(Succeed())
	})

	It("refuse an object whose name is not known yet", func() {
		web := makeService(namespace, "").external("10.0.0.13").Service
		web.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, GenerateName: "web-"}
		Expect(dryRun(web)).To(beRefused(`Service "web-`))
	})
})
