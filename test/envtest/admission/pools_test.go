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
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/cmd/manager/app"
)

// makePool creates an AddressPool for the namespaces with a label, and removes it
// after the spec.
func makePool(name string, use v1alpha1.AddressUse, team string, ranges ...v1alpha1.AddressRange) {
	pool := &v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.AddressPoolSpec{
		Use: use, Addresses: ranges, NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": team}}}}
	Expect(create(pool)).To(Succeed())
	DeferCleanup(func() { Expect(api.Delete(context.Background(), pool)).To(Succeed()) })
}

func makePortPool(name, team string, ranges ...v1alpha1.PortRange) {
	pool := &v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.PortPoolSpec{
		Ranges: ranges, NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": team}}}}
	Expect(create(pool)).To(Succeed())
	DeferCleanup(func() { Expect(api.Delete(context.Background(), pool)).To(Succeed()) })
}

var _ = Describe("The rules about pools", Ordered, func() {
	var blue, red string

	BeforeAll(func() {
		manager := start()
		DeferCleanup(manager.stop)
	})
	BeforeEach(func() {
		blue, red = newNamespace(map[string]string{"team": "blue"}), newNamespace(map[string]string{"team": "red"})
	})

	It("X5 gives an external IP to a user of a namespace only from its pool (CVE-2020-8554)", func() {
		tenant := tenantOf(blue)
		By("allowing every address while there is no pool")
		Expect(dryRunAs(tenant, makeService(blue, "web").external("203.0.113.70").Service)).To(Succeed())

		makePool("blue", v1alpha1.UseExternalIP, "blue", "203.0.113.64/28")
		makePool("red", v1alpha1.UseExternalIP, "red", "203.0.113.80/28")
		Eventually(dryRunAs).WithArguments(tenant, makeService(blue, "web").external("8.8.8.8").Service).Should(beRefused(
			"spec.externalIPs[0]", "this is in no AddressPool for ExternalIP; use an address of 203.0.113.64-203.0.113.79", "rule X5"))
		Eventually(dryRunAs).WithArguments(tenant, makeService(blue, "web").external("203.0.113.81").Service).Should(
			beRefused("this belongs to another AddressPool", "rule X5"))
		Expect(dryRun(makeService(blue, "web").external("203.0.113.81").Service)).To(beRefused("this belongs to AddressPool red"))
		Expect(dryRunAs(tenant, makeService(blue, "web").external("203.0.113.70").Service)).To(Succeed())

		By("not by an update, and not through a load balancer's address")
		web := makeService(blue, "web").external("203.0.113.70").Service
		Expect(tenant.Create(context.Background(), web)).To(Succeed())
		web.Spec.ExternalIPs = []string{"8.8.8.8"}
		Expect(tenant.Update(context.Background(), web)).To(beRefused("rule X5"))
		makePool("balanced", v1alpha1.UseLoadBalancer, "red", "198.51.100.64/28")
		wish := makeService(blue, "wish").balanced()
		wish.Spec.LoadBalancerIP = "8.8.8.8"
		Eventually(dryRunAs).WithArguments(tenant, wish.Service).Should(beRefused(
			"spec.loadBalancerIP", "no AddressPool is for it: ask an administrator for one", "rule X5"))

		By("not through an annotation of a load balancer's")
		for _, annotation := range []string{"metallb.io/loadBalancerIPs", "lbipam.cilium.io/ips", "kube-vip.io/loadbalancerIPs"} {
			wish := makeService(blue, "wish").balanced()
			wish.Annotations = map[string]string{annotation: "8.8.8.8"}
			Expect(dryRunAs(tenant, wish.Service)).To(beRefused("metadata.annotations["+annotation+"]", "rule X5"))
		}

		By("not by a reservation, which others than administrators of pools may write")
		kept := &v1alpha1.AddressReservation{ObjectMeta: metav1.ObjectMeta{Name: "8.8.8.8"}, Spec: v1alpha1.AddressReservationSpec{
			Address: "8.8.8.8", ServiceRef: &v1alpha1.ServiceReference{Namespace: blue, Name: "web"}}}
		Expect(create(kept)).To(Succeed())
		DeferCleanup(func() { Expect(api.Delete(context.Background(), kept)).To(Succeed()) })
		Eventually(dryRun).WithArguments(makeService(red, "web").external("8.8.8.8").Service).Should(beRefused("reserved for Service " + blue + "/web"))
		Expect(tenant.Update(context.Background(), web)).To(beRefused("this is in no AddressPool for ExternalIP", "rule X5"))

		By("leaving the pools to administrators")
		own := &v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: "mine"},
			Spec: v1alpha1.AddressPoolSpec{Use: v1alpha1.UseExternalIP, Addresses: []v1alpha1.AddressRange{"8.8.8.8"}}}
		Expect(dryRunAs(tenant, own)).To(MatchError(ContainSubstring("forbidden")))
	})

	It("X5 keeps the ClusterIPs of a pool for its namespaces", func() {
		makePool("inner", v1alpha1.UseClusterIP, "red", "10.0.0.12/31")
		web := func(namespace string) *corev1.Service {
			svc := makeService(namespace, "web").Service
			svc.Spec.ClusterIP = "10.0.0.12"
			return svc
		}
		Eventually(dryRun).WithArguments(web(blue)).Should(beRefused("spec.clusterIPs[0]", "AddressPool inner", "rule X5"))
		Expect(dryRun(web(red))).To(Succeed())
	})

	It("X7 gives a node port only from the namespace's pool, and never a reserved one", func() {
		makePortPool("blue", "blue", "31700-31709")
		makePortPool("red", "red", "31710-31719")
		Eventually(dryRun).WithArguments(makeService(blue, "web").nodePort(31710).Service).Should(beRefused(
			"spec.ports[0].nodePort", "this belongs to PortPool red, which is not for this namespace; use a port of 31700-31709", "rule X7"))
		Expect(dryRun(makeService(blue, "web").nodePort(30049).Service)).To(beRefused("this is outside the PortPools of this namespace"))
		Expect(dryRun(makeService(blue, "web").nodePort(31700).Service)).To(Succeed())
		Expect(dryRun(makeService(newNamespace(nil), "web").nodePort(30049).Service)).To(Succeed())

		kept := &v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: "31701"},
			Spec: v1alpha1.PortReservationSpec{ServiceRef: &v1alpha1.ServiceReference{Namespace: red, Name: "kept"}}}
		Expect(create(kept)).To(Succeed())
		DeferCleanup(func() { Expect(api.Delete(context.Background(), kept)).To(Succeed()) })
		Eventually(dryRun).WithArguments(makeService(blue, "web").nodePort(31701).Service).Should(
			beRefused("reserved for Service "+red+"/kept (PortReservation 31701)", "rule X7"))
		Expect(dryRunAs(tenantOf(blue), makeService(blue, "web").nodePort(31701).Service)).To(
			beRefused("reserved for a Service of another namespace (PortReservation 31701)"))
		Expect(dryRun(makeService(red, "kept").nodePort(31701).Service)).To(Succeed())
	})

	It("X7 believes no notes of who wrote what that a client has made up", func() {
		makePortPool("red", "red", "31740-31749")
		noting := func(apiVersion, fields string) metav1.ManagedFieldsEntry {
			return metav1.ManagedFieldsEntry{Manager: "me", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: apiVersion,
				FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}}
		}
		me := client.FieldOwner("me")
		web := makeService(blue, "web").nodePort(31740).Service
		Eventually(dryRun).WithArguments(web).Should(beRefused("this belongs to PortPool red", "rule X7"))

		By("in a create, which hide the server's own in a crowd or behind a field that reads the same")
		var keys []string
		for i := range 40 {
			keys = append(keys, fmt.Sprintf(`"k:{\"name\":\"x%d\",\"port\":80,\"protocol\":\"TCP\"}":{"f:port":{}}`, i))
		}
		for _, fields := range []string{
			`{"f:spec":{"f:ports":{` + strings.Join(keys, ",") + `}}}`,
			`{"f:\u017fpec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{"f:port":{}}}}}`,
		} {
			forged := web.DeepCopy()
			forged.ManagedFields = []metav1.ManagedFieldsEntry{noting("v1", fields)}
			for range 5 { // a map has no order
				Expect(api.Create(context.Background(), forged.DeepCopy(), me, client.DryRunAll)).To(beRefused("this belongs to PortPool red", "rule X7"))
			}
		}

		By("in an update, of which the server notes nothing because it can not make sense of them")
		plain := makeService(blue, "web").Service
		Expect(api.Create(context.Background(), plain, me)).To(Succeed())
		Expect(plain.ManagedFields).NotTo(BeEmpty())
		plain.Spec = web.Spec
		plain.ManagedFields = append(plain.ManagedFields, noting("a/b/c", `{"f:spec":{"f:type":{}}}`))
		Expect(api.Update(context.Background(), plain, me)).To(beRefused("this belongs to PortPool red", "rule X7"))
	})

	It("X19 refuses ranges over nodes, pods and Services, and warns of those that precedence settles", func() {
		makeNode("edge-19", "192.0.2.19", "10.244.19.0/24")
		pool := func(ranges ...v1alpha1.AddressRange) *v1alpha1.AddressPool {
			return &v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: "new"}, Spec: v1alpha1.AddressPoolSpec{Use: v1alpha1.UseLoadBalancer, Addresses: ranges}}
		}
		Eventually(dryRun).WithArguments(pool("10.244.0.0/16")).Should(beRefused("spec.addresses[0]", "the podCIDR of node edge-19", "rule X19"))
		Expect(dryRun(pool("192.0.2.0/24"))).To(beRefused("an address of node edge-19"))
		Expect(dryRun(pool("10.0.0.0/28"))).To(beRefused("a range of ServiceCIDR kubernetes"))
		Expect(dryRun(pool("198.51.100.128/28"))).To(Succeed())
		cidr := &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "more"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.244.16.0/20"}}}
		Expect(dryRun(cidr)).To(beRefused("spec.cidrs[0]", "the podCIDR of node edge-19", "rule X19"))

		makePortPool("blue", "blue", "31720-31729")
		over := &v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: "over"}, Spec: v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"31725"}}}
		Eventually(warnings.during).WithArguments(func() error { return dryRun(over) }).Should(
			ConsistOf(And(ContainSubstring("this overlaps with 31720-31729 of PortPool blue"), ContainSubstring("rule X19"))))
	})
})

var _ = Describe("A manager that requires pools", func() {
	It("refuses external IPs where there is none", func() {
		manager := start(func(options *app.Options) {
			options.Admission.RequirePools = []v1alpha1.AddressUse{v1alpha1.UseExternalIP}
		})
		DeferCleanup(manager.stop)
		namespace := newNamespace(nil)
		Eventually(dryRunAs).WithArguments(tenantOf(namespace), makeService(namespace, "web").external("203.0.113.99").Service).
			Should(beRefused("there is no AddressPool for ExternalIP, and the manager is told to require one", "rule X5"))
		Expect(dryRun(makeService(namespace, "web").Service)).To(Succeed())
	})
})
