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
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/cmd/manager/app"
)

var _ = Describe("The rules, where users find ways around", Ordered, func() {
	const writer = "system:serviceaccount:mesh:linker"
	var namespace string

	BeforeAll(func() {
		manager := start(func(options *app.Options) { options.Admission.EndpointWriters = []string{writer} })
		DeferCleanup(manager.stop)
	})
	BeforeEach(func() { namespace = newNamespace(nil) })

	It("X9 keeps the addresses that pods will get from other namespaces", func() {
		makeNode("edge-9", "192.0.2.91", "10.244.91.0/24")
		tenant := tenantOf(namespace)
		Eventually(dryRunAs).WithArguments(tenant, makeSlice(namespace, "next", "10.244.91.6")).Should(beRefused(
			"endpoints[0].addresses[0]", "this is inside the podCIDRs of a node and no pod of this namespace has it", "rule X9"))
		Expect(dryRunAs(tenant, makeEndpoints(namespace, "next", "10.244.91.6"))).To(beRefused("rule X9"))

		By("letting a namespace have its pods, also at the moment they start")
		startPod(namespace, "mine", "edge-9", "10.244.91.7")
		Expect(dryRunAs(tenant, makeSlice(namespace, "mine", "10.244.91.7"))).To(Succeed())
		Expect(dryRunAs(tenant, makeSlice(namespace, "outside", "198.51.100.7"))).To(Succeed())

		By("leaving alone what no proxy reads")
		linked := makeSlice(namespace, "linked", "10.244.91.6")
		linked.Labels = map[string]string{"multicluster.kubernetes.io/service-name": "db"}
		Expect(tenant.Create(context.Background(), linked)).To(Succeed())
		linked.Labels[discoveryv1.LabelServiceName] = "db"
		Expect(tenant.Update(context.Background(), linked)).To(beRefused("rule X9"))

		By("trusting the users that the configuration names")
		Expect(dryRunAs(named(writer), makeSlice(namespace, "next", "10.244.91.6"))).To(Succeed())
	})

	It("X2 judges a wish when it begins to count", func() {
		first := makeService(namespace, "first").balanced()
		first.Spec.LoadBalancerIP = "198.51.100.200"
		Expect(create(first.Service)).To(Succeed())
		second := makeService(namespace, "second").balanced()
		second.Spec.LoadBalancerIP = "198.51.100.200"
		Eventually(dryRun).WithArguments(second.Service).Should(beRefused(
			"spec.loadBalancerIP", "Service "+namespace+"/first already waits for this address with port 80/TCP", "rule X2"))

		By("also when a ClusterIP Service with it becomes a load balancer")
		inner := makeService(namespace, "inner")
		inner.Spec.LoadBalancerIP = "198.51.100.200"
		Expect(create(inner.Service)).To(Succeed())
		inner.Spec.Type = corev1.ServiceTypeLoadBalancer
		Expect(api.Update(context.Background(), inner.Service)).To(beRefused("rule X2"))

		By("not when a controller gives the address to another")
		third := makeService(namespace, "third").balanced().Service
		Expect(create(third)).To(Succeed())
		Expect(setIngress(third, "198.51.100.200")).To(Succeed())
	})

	It("X21 warns of nodes' addresses where X4 does not deny", func() {
		makeNode("edge-21", "192.0.2.121", "10.244.121.0/24")
		Eventually(warnings.during).WithArguments(func() error { return dryRun(makeService(namespace, "web").external("192.0.2.121").Service) }).Should(
			ConsistOf(And(ContainSubstring("this is the address of node edge-21"), ContainSubstring("rule X21"))))
		Expect(dryRun(makeService(namespace, "web").external("192.0.2.121").port(10250).Service)).To(beRefused("rule X4"))
	})

	It("X5 and X7 warn of numbers that the API server has drawn", func() {
		blue := newNamespace(map[string]string{"team": "blue"})
		makePortPool("blue", "blue", "31700-31701")
		asked := makeService(blue, "asked").nodePort(30048).Service
		Eventually(dryRun).WithArguments(asked).Should(beRefused("rule X7"))
		drawn := makeService(blue, "drawn").nodePort(0).Service
		said, err := warnings.during(func() error { return create(drawn) })
		Expect(err).NotTo(HaveOccurred())
		if port := drawn.Spec.Ports[0].NodePort; port != 31700 && port != 31701 {
			Expect(said).To(ConsistOf(And(ContainSubstring("the API server chose it"), ContainSubstring("rule X7"))))
		}
		By("and refuse them when they are asked for later")
		drawn.Spec.Ports[0].NodePort = 30047
		Expect(api.Update(context.Background(), drawn)).To(beRefused("rule X7"))
		By("also to one who says that he asked for nothing")
		drawn.ManagedFields = []metav1.ManagedFieldsEntry{{}}
		Expect(api.Update(context.Background(), drawn)).To(beRefused("rule X7"))
	})
})

// named is an administrator by another name.
func named(name string) client.Client {
	GinkgoHelper()
	config := rest.CopyConfig(admin)
	config.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:masters"}}
	config.WarningHandler = warnings
	user, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	return user
}

var _ = Describe("The API server's own Service", Ordered, func() {
	BeforeAll(func() {
		manager := start()
		DeferCleanup(manager.stop)
	})

	It("is judged when others write to it, and not when the API server does", func() {
		kubernetes := &corev1.Service{}
		Expect(api.Get(context.Background(), client.ObjectKey{Namespace: "default", Name: "kubernetes"}, kubernetes)).To(Succeed())
		taking := kubernetes.DeepCopy()
		taking.Spec.ExternalIPs = []string{"10.0.0.9"}
		Expect(named("dora").Update(context.Background(), taking.DeepCopy(), client.DryRunAll)).To(beRefused("spec.externalIPs[0]", "rule X3"))
		Expect(named("system:apiserver").Update(context.Background(), taking.DeepCopy(), client.DryRunAll)).To(Succeed())
		Expect(named("dora").Update(context.Background(), kubernetes, client.DryRunAll)).To(Succeed())

		slice := makeSlice("default", "kubernetes", "10.0.0.9")
		Expect(dryRunAs(named("dora"), makeEndpoints("default", "kubernetes", "10.0.0.9"))).To(Or(beRefused("rule X8"), MatchError(ContainSubstring("already exists"))))
		slice.Name = "kubernetes-more"
		slice.Labels[discoveryv1.LabelServiceName] = "kubernetes"
		Expect(dryRunAs(named("dora"), slice)).To(beRefused("rule X8"))
	})
})
