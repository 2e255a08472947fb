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

package allocation

import (
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"switchyard.dev/switchyard/test/testenv"
)

// repairs are the rows about what the server mends in its own records.
func repairs(s *scene) {
	It("has a lost record of an address made again, with an Event", func(ctx SpecContext) {
		web := at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.0.9")
		s.create(ctx, web)
		s.observed(web)
		lost := s.address(ctx, "10.0.0.9")
		Expect(s.admin.Delete(ctx, lost)).To(Succeed())
		if !s.stock() { // in between, our index knows better than the server
			refusal(s.admin.Create(ctx, at(service("thief", corev1.ServiceTypeClusterIP, 0), "10.0.0.9")), "held by Service team-a/web")
		}
		s.patch(ctx, web, func() { web.Labels = map[string]string{"look": "again"} })
		Eventually(func(g Gomega) {
			var record networkingv1.IPAddress
			g.Expect(s.admin.Get(ctx, client.ObjectKey{Name: "10.0.0.9"}, &record)).To(Succeed())
			g.Expect(record.UID).NotTo(Equal(lost.UID))
			g.Expect(record.Spec.ParentRef.Name).To(Equal("web"))
		}).Should(Succeed())
		Eventually(s.eventsOn).WithArguments(ctx, "web").Should(ContainElement(
			"ClusterIPNotAllocated: Cluster IP [IPv4]: 10.0.0.9 is not allocated; repairing"))
	})

	It("has a record that names another Service set right, with an Event", func(ctx SpecContext) {
		web := at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.0.9")
		s.create(ctx, web)
		record := s.address(ctx, "10.0.0.9")
		Expect(s.admin.Delete(ctx, record)).To(Succeed())
		wrong := &networkingv1.IPAddress{
			ObjectMeta: metav1.ObjectMeta{Name: "10.0.0.9", Labels: record.Labels},
			Spec:       networkingv1.IPAddressSpec{ParentRef: record.Spec.ParentRef.DeepCopy()},
		}
		wrong.Spec.ParentRef.Name = "nobody"
		Expect(s.admin.Create(ctx, wrong)).To(Succeed())
		s.patch(ctx, web, func() { web.Labels = map[string]string{"look": "again"} })
		Eventually(func(g Gomega) {
			var record networkingv1.IPAddress
			g.Expect(s.admin.Get(ctx, client.ObjectKey{Name: "10.0.0.9"}, &record)).To(Succeed())
			g.Expect(record.Spec.ParentRef.Name).To(Equal("web"))
		}).Should(Succeed())
		Eventually(s.eventsOn).WithArguments(ctx, "web").Should(ContainElement(
			"ClusterIPNotAllocated: the ClusterIP [IPv4]: 10.0.0.9 for Service team-a/web has a wrong reference; repairing"))
	})
}

// orphan is the record of an address for a Service that there never was, made as
// the suite starts. It lies in no range, where it is in nobody's way.
func orphan() *networkingv1.IPAddress {
	return &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: "192.0.2.60", Labels: map[string]string{
			networkingv1.LabelManagedBy: "ipallocator.k8s.io", networkingv1.LabelIPAddressFamily: "IPv4",
		}},
		Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: "team-a", Name: "nobody"}},
	}
}

func orphans(c *cluster) {
	It("keeps the record of an address without a Service for a minute, and then deletes it", func(ctx SpecContext) {
		record := orphan()
		err := c.admin.Get(ctx, client.ObjectKeyFromObject(record), record)
		if age := time.Since(record.CreationTimestamp.Time); err == nil && age < time.Minute {
			Eventually(func() error { return c.admin.Get(ctx, client.ObjectKeyFromObject(record), record) }).
				WithTimeout(time.Minute + 10*time.Second - age).Should(MatchError(ContainSubstring("not found")))
			Expect(time.Since(record.CreationTimestamp.Time)).To(BeNumerically(">", 55*time.Second))
			return
		}
		Eventually(func() error { return c.admin.Get(ctx, client.ObjectKeyFromObject(record), record) }).Should(MatchError(ContainSubstring("not found")))
	})
}

// restarts are the rows about what the server does when it starts.
func restarts(s *scene) {
	It("has a NodePort recorded again when an API server starts, with an Event", func(ctx SpecContext) {
		web := s.withFreedPort(ctx)
		assets, err := testenv.Assets()
		Expect(err).NotTo(HaveOccurred())
		second := &envtest.APIServer{Path: filepath.Join(assets, "kube-apiserver"), EtcdURL: s.environment.ControlPlane.Etcd.URL}
		second.Configure().Set("service-cluster-ip-range", s.addresses).Set("service-node-port-range", s.ports)
		Expect(second.Start()).To(Succeed())
		defer func() { Expect(second.Stop()).To(Succeed()) }()
		Eventually(s.eventsOn).WithArguments(ctx, web.Name).Should(ContainElement("PortNotAllocated: Port 30003 is not allocated; repairing"))
		Eventually(s.bitIsFree).WithArguments(ctx, int32(30003)).Should(BeFalse())
	})
}
