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
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A tenant decides what is being deleted, and for how long: with a finalizer.
var _ = Describe("What is being deleted", Ordered, func() {
	const finalizer = "example.com/mine"
	ctx := context.Background()
	var namespace string
	var tenant client.Client

	BeforeEach(func() {
		namespace = newNamespace(nil)
		tenant = tenantOf(namespace)
	})
	// going creates an object and has the finalizer keep it from being deleted.
	going := func(object client.Object) {
		GinkgoHelper()
		object.SetFinalizers([]string{finalizer})
		Expect(tenant.Create(ctx, object)).To(Succeed())
		Expect(tenant.Delete(ctx, object)).To(Succeed())
		Expect(tenant.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		Expect(object.GetDeletionTimestamp()).NotTo(BeNil())
	}
	letGo := func(object client.Object) {
		GinkgoHelper()
		Expect(tenant.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		Expect(tenant.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Satisfy(apierrors.IsNotFound))
	}

	Describe("while the manager runs", Ordered, func() {
		BeforeAll(func() {
			manager := start()
			DeferCleanup(manager.stop)
		})

		It("gains no address, as a Service (CVE-2020-8554), and can be let go of", func() {
			Expect(create(makeService(namespace, "holder").external("203.0.113.150").Service)).To(Succeed())
			Eventually(dryRun).WithArguments(makeService(namespace, "probe").external("203.0.113.150").Service).Should(beRefused("rule X1"))
			web := makeService(namespace, "web").balanced().Service
			going(web)
			for _, ip := range []string{"203.0.113.150", "10.0.0.1", "10.0.0.12"} {
				changed := web.DeepCopy()
				changed.Spec.ExternalIPs = []string{ip}
				Expect(tenant.Update(ctx, changed)).To(beRefused("spec.externalIPs[0]"))
				changed.Finalizers = nil
				Expect(tenant.Update(ctx, changed)).To(beRefused("spec.externalIPs[0]"))
			}
			Expect(setIngress(web.DeepCopy(), "10.0.0.12")).To(beRefused("status.loadBalancer.ingress[0].ip", "rule X3"))
			letGo(web)
		})

		It("gains no endpoint of another namespace (CVE-2021-25740), and can be let go of", func() {
			startPod(newNamespace(nil), "secret-db", "edge-150", "10.99.0.150")
			Eventually(dryRunAs).WithArguments(tenant, makeEndpoints(namespace, "probe", "10.99.0.150")).Should(beRefused("rule X9"))
			endpoints := makeEndpoints(namespace, "web", "192.0.2.150")
			going(endpoints)
			changed := endpoints.DeepCopy()
			changed.Subsets[0].Addresses[0].IP = "10.99.0.150"
			Expect(tenant.Update(ctx, changed)).To(beRefused("rule X9"))
			letGo(endpoints)

			slice := makeSlice(namespace, "web-1", "192.0.2.150")
			going(slice)
			moved := slice.DeepCopy()
			moved.Endpoints[0].Addresses = []string{"10.99.0.150"}
			Expect(tenant.Update(ctx, moved)).To(beRefused("rule X9"))
			letGo(slice)
		})

		It("gives a slice to no Service", func() {
			Expect(create(makeService(namespace, "web").selects("web").Service)).To(Succeed())
			rogue := makeSlice(namespace, "probe", "192.0.2.151")
			rogue.Labels = map[string]string{discoveryv1.LabelServiceName: "web"}
			Eventually(dryRun).WithArguments(rogue).Should(beRefused("rule X10"))
			slice := makeSlice(namespace, "web-1", "192.0.2.151")
			going(slice)
			slice.Labels = map[string]string{discoveryv1.LabelServiceName: "web"}
			Expect(tenant.Update(ctx, slice)).To(beRefused("rule X10"))
		})
	})

	It("can be let go of while no manager answers, where changes are refused then", func() {
		strict := newNamespace(map[string]string{"switchyard.dev/admission": "enforce"})
		Expect(create(makeService(strict, "probe").Service)).NotTo(Succeed())
		kept := newNamespace(nil)
		objects := []client.Object{makeService(kept, "web").external("203.0.113.151").Service, makeEndpoints(kept, "web", "192.0.2.152"), makeSlice(kept, "web-1", "192.0.2.152")}
		tenant = tenantOf(kept)
		for _, object := range objects {
			going(object)
		}
		setNamespaceLabel(kept, "switchyard.dev/admission", "enforce")
		Eventually(dryRun).WithArguments(makeService(kept, "probe").Service).ShouldNot(Succeed())
		for _, object := range objects {
			letGo(object)
		}
	})

	It("is judged by the policies for what it gains, and can be let go of", func() {
		denied := And(HaveOccurred(), MatchError(ContainSubstring("ValidatingAdmissionPolicy")))
		web := makeService(namespace, "web").balanced().Service
		going(web)
		for _, gain := range []func(*corev1.Service){
			func(svc *corev1.Service) { svc.Spec.LoadBalancerIP = "tomorrow" },
			func(svc *corev1.Service) { svc.Spec.ExternalIPs = manyAddresses(1001) },
		} {
			changed := web.DeepCopy()
			gain(changed)
			Eventually(tenant.Update).WithArguments(ctx, changed).Should(denied)
		}
		letGo(web)
		slice := makeSlice(namespace, "web-1", "192.0.2.153")
		going(slice)
		changed := slice.DeepCopy()
		changed.Ports[0].Port = new(int32)
		Eventually(tenant.Update).WithArguments(ctx, changed).Should(denied)
		letGo(slice)
	})
})

// expectNoNumberGained asks for the number of another Service for one that is
// being deleted. It takes a manager that allocates, of which a process has one.
func expectNoNumberGained() {
	GinkgoHelper()
	ctx, namespace := context.Background(), newNamespace(nil)
	Expect(create(makeService(namespace, "holder").nodePort(30050).Service)).To(Succeed())
	web := makeService(namespace, "web").nodePort(30051).Service
	web.Finalizers = []string{"example.org/kept"}
	Expect(create(web)).To(Succeed())
	Expect(api.Delete(ctx, web)).To(Succeed())
	Expect(api.Get(ctx, client.ObjectKeyFromObject(web), web)).To(Succeed())
	changed := web.DeepCopy()
	changed.Spec.Ports[0].NodePort = 30050
	Expect(api.Update(ctx, changed)).To(MatchError(ContainSubstring("30050: held by Service " + namespace + "/holder")))
	web.Finalizers = nil
	Expect(api.Update(ctx, web)).To(Succeed())
}

// manyAddresses are nobody's.
func manyAddresses(count int) []string {
	var ips []string
	for i := range count {
		ips = append(ips, fmt.Sprintf("203.1.%d.%d", i>>8, i&255))
	}
	return ips
}
