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
	"slices"
	"strconv"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/cmd/manager/app"
)

var _ = Describe("A flood of large changes", Ordered, func() {
	It("lets none of them pass, and is not felt in other namespaces", func() {
		manager := start(func(o *app.Options) { o.Admission.RequirePools = []v1alpha1.AddressUse{v1alpha1.UseExternalIP} })
		DeferCleanup(manager.stop)
		// Where the machine is busy the server itself may take longer than it waits for
		// a webhook, and lets pass what no label closes.
		namespace, other := newNamespace(nil), newNamespace(map[string]string{"switchyard.dev/admission": "enforce"})
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
		before := letPass()
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
		// Nobody is asked about a change whose webhook the server has given up.
		passed := slices.DeleteFunc(slices.Clone(answers), func(answer error) bool { return answer != nil })
		Expect(len(passed)).To(BeNumerically("<=", letPass()-before), "changes that passed, and those that the server let pass by itself")
		for i, answer := range answers {
			if answer == nil {
				continue
			}
			Expect(answer).To(MatchError(ContainSubstring("validate.switchyard.dev")), "%T %s", large[i], large[i].GetName())
		}
	})
})

// letPass is how many changes the API server has let pass since it waited for a
// webhook for too long.
func letPass() (n int) {
	GinkgoHelper()
	clientset, err := kubernetes.NewForConfig(admin)
	Expect(err).NotTo(HaveOccurred())
	page, err := clientset.RESTClient().Get().AbsPath("/metrics").DoRaw(context.Background())
	Expect(err).NotTo(HaveOccurred())
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "apiserver_admission_webhook_fail_open_count{") && strings.Contains(line, "validate.switchyard.dev") {
			count, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndex(line, "}")+1:]))
			Expect(err).NotTo(HaveOccurred())
			n += count
		}
	}
	return n
}

// neverPasses asks until the answer is the rule's. One that the server gives when
// it had to wait for too long is not.
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
