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
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/cmd/manager/app"
)

var _ = Describe("A flood of large changes", Ordered, func() {
	It("lets none of them pass, and is not felt in other namespaces", func() {
		// Ours is the time that judging takes, and not how long a machine with other
		// work keeps the API server waiting: it waits for long, and lets nothing pass.
		failClosed()
		manager := start(func(o *app.Options) { o.Admission.RequirePools = []v1alpha1.AddressUse{v1alpha1.UseExternalIP} })
		DeferCleanup(manager.stop)
		namespace, other := newNamespace(nil), newNamespace(nil)
		tenant := tenantOf(namespace)
		startPod(newNamespace(nil), "secret-db", "edge-160", "10.99.0.160")
		Eventually(dryRunAs).WithArguments(tenant, makeService(namespace, "probe").external("2001:db8::1").Service).Should(beRefused("rule X5"))
		Eventually(dryRunAs).WithArguments(tenant, makeEndpoints(namespace, "probe", "10.99.0.160")).Should(beRefused("rule X9"))

		services := func(name string, count int) client.Object {
			svc := makeService(namespace, name).Service
			for i := range count {
				svc.Spec.ExternalIPs = append(svc.Spec.ExternalIPs, fmt.Sprintf("2001:db8::%x", i+1))
			}
			return svc
		}
		endpoints := func(name string, count int) client.Object {
			object := makeEndpoints(namespace, name, "192.0.2.160")
			for _, ip := range append(manyAddresses(count-2), "10.99.0.160") {
				object.Subsets[0].Addresses = append(object.Subsets[0].Addresses, corev1.EndpointAddress{IP: ip})
			}
			return object
		}
		var large []client.Object
		for i := range 10 {
			large = append(large, services(fmt.Sprintf("most-%d", i), 100), services(fmt.Sprintf("more-%d", i), 1000),
				endpoints(fmt.Sprintf("most-%d", i), 1000), endpoints(fmt.Sprintf("more-%d", i), 9000))
		}
		var flood sync.WaitGroup
		answers := make([]error, len(large))
		for i, object := range large {
			flood.Go(func() { answers[i] = tenant.Create(context.Background(), object, client.DryRunAll) })
		}
		for range 5 {
			neverPasses(makeService(other, "bad").external("8.8.8.8").Service, "rule X5")
			neverPasses(makeEndpoints(other, "bad", "10.99.0.160"), "rule X9")
			Eventually(dryRun).WithArguments(makeService(other, "good").Service).Should(Succeed())
			Eventually(dryRun).WithArguments(makeEndpoints(other, "good", "192.0.2.161")).Should(Succeed())
		}
		flood.Wait()
		for i, answer := range answers {
			Expect(answer).To(MatchError(ContainSubstring("validate.switchyard.dev")), "%T %s", large[i], large[i].GetName())
			Expect(answer).NotTo(MatchError(ContainSubstring("failed calling webhook")), "%T %s", large[i], large[i].GetName())
		}
	})
})

// failClosed has the API server refuse, until the end of the spec, what nobody judges
// within the longest time that there is.
func failClosed() {
	GinkgoHelper()
	var before, closed admissionregistrationv1.ValidatingWebhookConfiguration
	Expect(api.Get(context.Background(), client.ObjectKey{Name: env.WebhookInstallOptions.ValidatingWebhooks[0].Name}, &before)).To(Succeed())
	before.DeepCopyInto(&closed)
	for i := range closed.Webhooks {
		closed.Webhooks[i].FailurePolicy, closed.Webhooks[i].TimeoutSeconds = ptr.To(admissionregistrationv1.Fail), ptr.To[int32](30)
	}
	Expect(api.Patch(context.Background(), &closed, client.MergeFrom(&before))).To(Succeed())
	DeferCleanup(func() {
		opened := closed.DeepCopy()
		opened.Webhooks = before.Webhooks
		Expect(api.Patch(context.Background(), opened, client.MergeFrom(&closed))).To(Succeed())
	})
	// The server has heard of it once it misses the manager, which does not run yet.
	for _, object := range []client.Object{
		makeService(metav1.NamespaceDefault, "probe").external("10.0.0.2").Service, makeEndpoints(metav1.NamespaceDefault, "probe", "192.0.2.160"),
	} {
		Eventually(dryRun).WithArguments(object).Should(MatchError(ContainSubstring("failed calling webhook")))
	}
}

// neverPasses asks until the answer is the rule's: in the flood it may be that there
// was no time.
func neverPasses(object client.Object, rule string) {
	GinkgoHelper()
	Eventually(func() error {
		err := dryRun(object)
		if err == nil {
			StopTrying("it passed").Now()
		}
		return err
	}).Should(beRefused(rule))
}
