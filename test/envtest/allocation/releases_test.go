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
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// releases are the rows about Services that go.
func releases(s *scene) {
	It("frees the numbers of a deleted Service, at once also for a fixed one", func(ctx SpecContext) {
		for range 5 {
			web := local(at(service("web", corev1.ServiceTypeLoadBalancer, 30003), "10.0.0.9", "fd00:10::9"), 30004)
			s.createAfterOthers(ctx, web)
			Expect(s.admin.Delete(ctx, web)).To(Succeed())
		}
		s.free(ctx, addr("10.0.0.9"), addr("fd00:10::9"), port(30003), port(30004))
	})

	It("keeps the numbers of a Service that waits for a finalizer, and frees them when it goes through the status", func(ctx SpecContext) {
		web := at(service("web", corev1.ServiceTypeNodePort, 30003), "10.0.0.9")
		web.Finalizers = []string{"example.org/wait"}
		s.create(ctx, web)
		Expect(s.admin.Delete(ctx, web)).To(Succeed())
		s.observed(web)
		s.taken(ctx, addr("10.0.0.9"), port(30003))
		Expect(s.admin.Status().Patch(ctx, web, client.RawPatch("application/merge-patch+json", []byte("{\"metadata\":{\"finalizers\":null}}")))).To(Succeed())
		Expect(apierrors.IsNotFound(s.admin.Get(ctx, client.ObjectKeyFromObject(web), &corev1.Service{}))).To(BeTrue())
		s.free(ctx, addr("10.0.0.9"), port(30003))
	})

	It("answers AlreadyExists to the create of a Service that has the number itself", func(ctx SpecContext) {
		web, other := at(service("web", corev1.ServiceTypeNodePort, 30003), "10.0.0.9"), service("other", corev1.ServiceTypeNodePort, 30004)
		s.create(ctx, web)
		s.create(ctx, other)
		s.observed(web, other)
		for text, again := range map[string]*corev1.Service{
			"provided port is already allocated": service("web", corev1.ServiceTypeNodePort, 30003),
			"provided IP is already allocated":   at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.0.9"),
		} {
			status := refusal(s.admin.Create(ctx, again), s.answer(text, "services \"web\" already exists", "services \"web\" already exists"))
			if !s.stock() {
				Expect(status.Reason).To(Equal(metav1.StatusReasonAlreadyExists))
				Expect(status.Code).To(BeEquivalentTo(409))
			}
		}
		// A number of somebody else is beside the point as well: the name is taken.
		refusal(s.admin.Create(ctx, service("web", corev1.ServiceTypeNodePort, 30004)),
			s.answer("provided port is already allocated", "services \"web\" already exists", "services \"web\" already exists"))
		Expect(apierrors.IsAlreadyExists(s.admin.Create(ctx, service("web", corev1.ServiceTypeNodePort, 0)))).To(BeTrue())
	})

	It("says that a Service which exists is being deleted", func(ctx SpecContext) {
		web := service("web", corev1.ServiceTypeNodePort, 30003)
		web.Finalizers = []string{"example.org/wait"}
		s.create(ctx, web)
		s.observed(web)
		Expect(s.admin.Delete(ctx, web)).To(Succeed())
		defer func() {
			Expect(s.admin.Patch(ctx, web, client.RawPatch("application/merge-patch+json", []byte("{\"metadata\":{\"finalizers\":null}}")))).To(Succeed())
		}()
		being := "object is being deleted: services \"web\" already exists"
		refusal(s.admin.Create(ctx, service("web", corev1.ServiceTypeNodePort, 0)), being)
		refusal(s.admin.Create(ctx, service("web", corev1.ServiceTypeNodePort, 30003)), s.answer("provided port is already allocated", being, being))
	})

	It("gives a number that was held until a moment ago to who asks for it", func(ctx SpecContext) {
		first := service("first", corev1.ServiceTypeNodePort, 30003)
		s.create(ctx, first)
		s.observed(first)
		Expect(s.admin.Delete(ctx, first)).To(Succeed())
		second := service("second", corev1.ServiceTypeNodePort, 30003)
		s.create(ctx, second)
		second.Spec.Ports[0].NodePort = 30004
		s.update(ctx, second)
		s.create(ctx, service("third", corev1.ServiceTypeNodePort, 30003))
	})
}
