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

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// quotas are the rows about what a ResourceQuota counts.
func quotas(s *scene) {
	It("counts NodePorts for a quota by the rows of the list of ports", func(ctx SpecContext) {
		quota := s.quota(ctx, 5)
		defer func() { Expect(s.admin.Delete(ctx, quota)).To(Succeed()) }()
		for _, counted := range []struct {
			name string
			edit func(*corev1.Service)
			used int64
		}{
			{"twins", func(s *corev1.Service) {
				s.Spec.Ports[0].NodePort, s.Spec.Ports[1].NodePort, s.Spec.Ports[1].Protocol = 30003, 30003, corev1.ProtocolUDP
				s.Spec.Ports[1].Port = s.Spec.Ports[0].Port
			}, 2},
			{"balancer", func(s *corev1.Service) {
				local(s, 30008)
				s.Spec.Ports[0].NodePort, s.Spec.Ports[1].NodePort = 30006, 30007
			}, 4},
			{"without", func(s *corev1.Service) { local(s, 30009).Spec.AllocateLoadBalancerNodePorts = new(false) }, 4},
		} {
			web := service(counted.name, corev1.ServiceTypeNodePort, 0, 0)
			web.Namespace = "team-b"
			counted.edit(web)
			s.create(ctx, web)
			Eventually(s.used).WithArguments(ctx, quota).Should(Equal(counted.used), counted.name)
		}
		late := service("late", corev1.ServiceTypeNodePort, 30004, 30005)
		late.Namespace = "team-b"
		refusal(s.admin.Create(ctx, late), "exceeded quota: numbers, requested: services.nodeports=2, used: services.nodeports=4, limited: services.nodeports=5")
		s.free(ctx, port(30004), port(30005))
	})
}

// quota limits the NodePorts of team-b. Its status is what the server goes by,
// and here nobody but the test would write it first.
func (s *scene) quota(ctx context.Context, hard int64) *corev1.ResourceQuota {
	GinkgoHelper()
	limits := corev1.ResourceList{corev1.ResourceServicesNodePorts: *resource.NewQuantity(hard, resource.DecimalSI)}
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-b", Name: "numbers"},
		Spec:       corev1.ResourceQuotaSpec{Hard: limits},
	}
	Expect(s.admin.Create(ctx, quota)).To(Succeed())
	quota.Status.Hard = limits
	quota.Status.Used = corev1.ResourceList{corev1.ResourceServicesNodePorts: *resource.NewQuantity(0, resource.DecimalSI)}
	Expect(s.admin.Status().Update(ctx, quota)).To(Succeed())
	Eventually(func() error { // until the server's cache has it
		probe := service("probe", corev1.ServiceTypeNodePort, 0, 0, 0, 0, 0, 0)
		probe.Namespace = "team-b"
		err := s.admin.Create(ctx, probe)
		if err == nil {
			Expect(s.admin.Delete(ctx, probe)).To(Succeed())
		}
		return err
	}).Should(MatchError(ContainSubstring("exceeded quota")))
	Expect(s.admin.Get(ctx, client.ObjectKeyFromObject(quota), quota)).To(Succeed())
	quota.Status.Used = corev1.ResourceList{corev1.ResourceServicesNodePorts: *resource.NewQuantity(0, resource.DecimalSI)}
	Expect(s.admin.Status().Update(ctx, quota)).To(Succeed())
	return quota
}

func (s *scene) used(ctx context.Context, quota *corev1.ResourceQuota) int64 {
	GinkgoHelper()
	var now corev1.ResourceQuota
	Expect(s.admin.Get(ctx, client.ObjectKeyFromObject(quota), &now)).To(Succeed())
	count := now.Status.Used[corev1.ResourceServicesNodePorts]
	return count.Value()
}
