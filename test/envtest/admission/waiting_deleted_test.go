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
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// A pool is for the namespaces of one team, and a tenant of another wants to keep
// its addresses from that team.
var _ = Describe("The addresses of a pool", Ordered, func() {
	const finalizer, address = "example.com/mine", "203.0.113.161"
	wishes := []string{v1alpha1.LoadBalancerIPsAnnotation, "metallb.io/loadBalancerIPs", "kube-vip.io/loadbalancerIPs"}
	ctx := context.Background()
	var outside, inside string

	asking := func(namespace, name string) *corev1.Service {
		svc := makeService(namespace, name).balanced().Service
		svc.Spec.LoadBalancerClass = new("metallb.io/mlb")
		return svc
	}
	annotated := func(svc *corev1.Service, key string) *corev1.Service {
		svc.Annotations = map[string]string{key: address}
		return svc
	}
	// kept is a Service that a finalizer keeps in deletion.
	kept := func(user client.Client, svc *corev1.Service) {
		GinkgoHelper()
		svc.Finalizers = []string{finalizer}
		Expect(user.Create(ctx, svc)).To(Succeed())
		Expect(user.Delete(ctx, svc)).To(Succeed())
		Expect(user.Get(ctx, client.ObjectKeyFromObject(svc), svc)).To(Succeed())
		Expect(svc.DeletionTimestamp).NotTo(BeNil())
		DeferCleanup(func() {
			Expect(user.Patch(ctx, svc, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		})
	}

	BeforeAll(func() {
		manager := start()
		DeferCleanup(manager.stop)
	})
	BeforeEach(func() {
		outside, inside = newNamespace(map[string]string{"team": "outside"}), newNamespace(map[string]string{"team": "inside"})
	})

	It("are not asked for by a Service that a finalizer keeps in deletion, where its pools forbid it", func() {
		tenant := tenantOf(outside)
		makePool("kept-in-deletion", v1alpha1.UseLoadBalancer, "inside", "203.0.113.160/28")
		Eventually(dryRunAs).WithArguments(tenant, annotated(asking(outside, "probe"), wishes[0])).Should(beRefused("rule X5"))

		held := asking(outside, "held")
		kept(tenant, held)
		for _, wish := range wishes {
			By("annotating it with " + wish)
			patch := []byte(`{"metadata":{"annotations":{"` + wish + `":"` + address + `"}}}`)
			Expect(tenant.Patch(ctx, held.DeepCopy(), client.RawPatch(types.MergePatchType, patch))).To(
				beRefused("metadata.annotations["+wish+"]", "this belongs to another AddressPool", "rule X5"))
		}
		By("changing its spec")
		changed := held.DeepCopy()
		changed.Spec.LoadBalancerIP = address
		Expect(tenant.Update(ctx, changed)).To(beRefused("spec.loadBalancerIP", "rule X5"))
		changed.Finalizers = nil
		Expect(tenant.Update(ctx, changed)).To(beRefused("spec.loadBalancerIP", "rule X5"))
		By("and leaving other annotations alone")
		Expect(tenant.Patch(ctx, held.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"example.com/step":"2"}}}`)))).To(Succeed())
		Expect(dryRunAs(tenantOf(inside), annotated(asking(inside, "web"), wishes[0]))).To(Succeed())
	})

	It("are not kept by who asked for them before there was the pool, in deletion or not", func() {
		early, gone := annotated(asking(outside, "early"), wishes[1]), annotated(asking(outside, "gone"), wishes[1])
		gone.Spec.Ports[0].Port = 81
		Expect(create(early)).To(Succeed())
		kept(tenantOf(outside), gone)
		user := tenantOf(inside)
		web := annotated(asking(inside, "web"), wishes[0])
		By("keeping them while there is no pool, as one of two gets them")
		Eventually(dryRunAs).WithArguments(user, web).Should(beRefused("already waits for this address with port 80/TCP", "rule X2"))
		also := web.DeepCopy()
		also.Spec.Ports[0].Port = 81
		Eventually(dryRunAs).WithArguments(user, also).Should(Succeed())

		makePool("late", v1alpha1.UseLoadBalancer, "inside", "203.0.113.160/28")
		Eventually(dryRunAs).WithArguments(user, web).Should(Succeed())
		Expect(user.Create(ctx, web)).To(Succeed())
		By("while of two of the pool one waits")
		second := annotated(asking(inside, "second"), wishes[0])
		Eventually(dryRunAs).WithArguments(user, second).Should(beRefused("already waits for this address with port 80/TCP", "rule X2"))
	})

	It("and node ports are not gained in deletion", func() {
		makePortPool("kept-in-deletion", "inside", "31760-31769")
		tenant := tenantOf(outside)
		Eventually(dryRunAs).WithArguments(tenant, makeService(outside, "probe").nodePort(31760).Service).Should(beRefused("rule X7"))
		held := makeService(outside, "held").Service
		kept(tenant, held)
		Expect(tenant.Patch(ctx, held.DeepCopy(), client.RawPatch(types.MergePatchType,
			[]byte(`{"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":31760}]}}`)))).To(beRefused("spec.ports[0].nodePort", "rule X7"))
	})
})
