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
	"context"
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// weaknesses are the rows about what the stock server does wrong. The same test
// shows it without the webhook, and what becomes of it with the webhook.
func weaknesses(s *scene) {
	It("loses the first address of a create whose second one is refused", func(ctx SpecContext) {
		first := at(service("first", corev1.ServiceTypeClusterIP, 0), "fd00:10::9")
		s.create(ctx, first)
		s.observed(first)
		lost := false
		for i := 0; !lost && i < 40; i++ { // the server takes the two in random order
			web := at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.0.9", "fd00:10::9")
			ours := "spec.clusterIPs[1]: Invalid value: \"fd00:10::9\": held by Service team-a/first"
			refusal(s.admin.Create(ctx, web), s.answer("failed to allocate IP fd00:10::9: provided IP is already allocated", ours, ours))
			for _, ip := range s.addressObjects(ctx) {
				lost = lost || ip == "10.0.0.9"
			}
		}
		if !s.stock() {
			Expect(lost).To(BeFalse(), "a request that we refuse never gets to the server's allocator")
			s.free(ctx, addr("10.0.0.9"))
			return
		}
		Expect(lost).To(BeTrue())
		refusal(s.admin.Create(ctx, at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.0.9")), "provided IP is already allocated")
		Expect(apierrors.IsNotFound(s.admin.Get(ctx, client.ObjectKey{Namespace: "team-a", Name: "web"}, &corev1.Service{}))).To(BeTrue())
	})

	It("frees the NodePort of a Service whose update is lost to another", func(ctx SpecContext) {
		web := s.withFreedPort(ctx, "web", 30003)
		thief := service("thief", corev1.ServiceTypeNodePort, 30003)
		err := s.admin.Create(ctx, thief)
		if !s.stock() {
			refusal(err, "30003: held by Service team-a/web")
			return
		}
		Expect(err).NotTo(HaveOccurred())
		Expect(nodePortsOf(s.reread(ctx, web))).To(Equal([]int32{30003}), "two Services hold one port")
	})

	It("frees the NodePort of two Services when one of them is deleted", func(ctx SpecContext) {
		web := s.withFreedPort(ctx, "web", 30003)
		double := s.unseen(ctx, 30003)
		s.observed(double)
		if !s.stock() {
			Eventually(s.eventsOn).WithArguments(ctx, "web").Should(ContainElement(
				HavePrefix("PortAlreadyAllocated: Port 30003 is also held by a Service of another namespace")))
		}
		Expect(s.admin.Delete(ctx, double)).To(Succeed())
		third := service("third", corev1.ServiceTypeNodePort, 30003)
		err := s.admin.Create(ctx, third)
		if !s.stock() {
			refusal(err, "30003: held by Service team-a/web")
			return
		}
		Expect(err).NotTo(HaveOccurred())
		Expect(nodePortsOf(s.reread(ctx, web))).To(Equal([]int32{30003}), "two Services hold one port")
	})

	It("forgets an address that an upgrade adds in the first second of a Service", func(ctx SpecContext) {
		stolen := false
		for i := 0; !stolen && i < 20; i++ { // the server's repair is that fast three times out of four
			web := service(fmt.Sprintf("web-%d", i), corev1.ServiceTypeClusterIP, 0)
			s.create(ctx, web)
			s.patch(ctx, web, func() { web.Spec.IPFamilyPolicy = new(requireDualStack) })
			s.observed(web)
			thief := at(service(fmt.Sprintf("thief-%d", i), corev1.ServiceTypeClusterIP, 0), web.Spec.ClusterIPs[1])
			err := s.admin.Create(ctx, thief)
			if !s.stock() {
				refusal(err, "held by Service team-a/"+web.Name)
			} else if err == nil {
				stolen = true
				Expect(s.reread(ctx, web).Spec.ClusterIPs[1]).To(Equal(thief.Spec.ClusterIP), "two Services hold one address")
			}
			if i == 5 && !s.stock() {
				return
			}
			Expect(s.admin.Delete(ctx, web)).To(Succeed())
		}
		Expect(stolen).To(BeTrue())
	})

	It("writes numbers for creates that are denied later", func(ctx SpecContext) {
		quota := s.quota(ctx, 1)
		defer func() { Expect(s.admin.Delete(ctx, quota)).To(Succeed()) }()
		before := s.writes(ctx)
		for i := range 5 {
			web := service(fmt.Sprintf("web-%d", i), corev1.ServiceTypeNodePort, 0, 0)
			web.Namespace = "team-b"
			refusal(s.admin.Create(ctx, web), "exceeded quota")
		}
		// Each time one address and two ports, taken and given back. A mutating
		// webhook is asked before the quota, so it can not spare the server this.
		Expect(s.writes(ctx).since(before)).To(Equal(writes{addresses: 10, ports: 20}))
	})
}

// withFreedPort makes a Service with a NodePort whose bit the server's
// allocator has lost: an update that drops the port releases it before its
// write, and the write then fails because another one was faster.
func (s *scene) withFreedPort(ctx context.Context, name string, number int32) *corev1.Service {
	GinkgoHelper()
	for range 100 {
		web := service(name, corev1.ServiceTypeNodePort, number)
		s.create(ctx, web)
		s.observed(web)
		err := s.updateAmongOthers(ctx, become(web.DeepCopy(), corev1.ServiceTypeClusterIP))
		if apierrors.IsConflict(err) && s.bitIsFree(ctx, number) {
			Expect(nodePortsOf(s.reread(ctx, web))).To(Equal([]int32{number}))
			return web
		}
		Expect(client.IgnoreNotFound(s.admin.Delete(ctx, web))).To(Succeed())
	}
	Fail("no update was lost between the release of the port and the write")
	return nil
}

// updateAmongOthers updates while others label the same Service.
func (s *scene) updateAmongOthers(ctx context.Context, web *corev1.Service) (err error) {
	var racing sync.WaitGroup
	for i := range 4 {
		racing.Go(func() {
			defer GinkgoRecover()
			for j := range 4 {
				label := fmt.Sprintf("{\"metadata\":{\"labels\":{\"racer-%d\":\"%d\"}}}", i, j)
				patch := client.RawPatch("application/merge-patch+json", []byte(label))
				Expect(s.admin.Patch(ctx, service(web.Name, "", 0), patch)).To(Succeed())
			}
		})
	}
	err = s.admin.Update(ctx, web)
	racing.Wait()
	return err
}

// bitIsFree asks the server alone.
func (s *scene) bitIsFree(ctx context.Context, number int32) bool {
	GinkgoHelper()
	probe := unseen(number)
	err := s.admin.Create(ctx, probe)
	if err != nil {
		refusal(err, "provided port is already allocated")
		return false
	}
	Expect(s.admin.Delete(ctx, probe)).To(Succeed())
	return true
}

// unseen is a Service in the manager's own namespace, where the webhook keeps
// out of the way.
func unseen(number int32) *corev1.Service {
	double := service("double", corev1.ServiceTypeNodePort, number)
	double.Namespace = systemNamespace
	return double
}

func (s *scene) unseen(ctx context.Context, number int32) *corev1.Service {
	GinkgoHelper()
	double := unseen(number)
	s.create(ctx, double)
	return double
}
