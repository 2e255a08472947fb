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

package diagnosis

import (
	"fmt"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// versions collects the versions that a Service has until the returned function
// is called, which counts them.
func (s scene) versions(name string) func() int {
	GinkgoHelper()
	watching, err := client.NewWithWatch(env.Config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	watcher, err := watching.Watch(s, &corev1.ServiceList{}, client.InNamespace(s.namespace), client.MatchingFields{"metadata.name": name})
	Expect(err).NotTo(HaveOccurred())
	seen := make(chan map[string]bool)
	go func() {
		versions := map[string]bool{}
		for event := range watcher.ResultChan() {
			if service, ok := event.Object.(*corev1.Service); ok {
				versions[service.ResourceVersion] = true
			}
		}
		seen <- versions
	}()
	return func() int {
		watcher.Stop()
		return len(<-seen)
	}
}

var _ = Describe("Nothing is written", func() {
	It("while a Service is as it was, whatever its pods do, and by the next manager neither", func(ctx SpecContext) {
		s := newScene(ctx)
		var pods []*corev1.Pod
		for i := range 3 {
			pods = append(pods, s.pod(fmt.Sprint("web-", i), "web", fmt.Sprint("10.1.0.", 1+i)))
		}
		s.service("web")
		s.service("broken")
		s.answers("web")
		Eventually(s.is("broken", diagnosis.EndpointsAvailable)).Should(Equal("False NoMatchingPods"))
		web, broken := s.version("web")(), s.version("broken")()

		By("letting one of its pods flap")
		for range 3 {
			updateStatus(s, pods[0], notReady)
			s.ready(pods[0])
		}
		Consistently(s.version("web")).Should(Equal(web))

		By("letting another manager take over")
		halt()
		startManager()
		s.service("canary")
		Eventually(s.is("canary", diagnosis.EndpointsAvailable)).Should(Equal("False NoMatchingPods"))
		Consistently(s.version("web")).Should(Equal(web))
		Expect(s.version("broken")()).To(Equal(broken))
		Expect(s.events("broken")()).To(Equal([]string{"Warning NoMatchingPods"}))
	})

	It("of Services of Switchyard itself, and of those that are being deleted", func(ctx SpecContext) {
		own := scene{ctx, systemNamespace}
		own.service("switchyard-spec")
		s := newScene(ctx)
		going := s.service("going", func(service *corev1.Service) { service.Finalizers = []string{"example.com/held"} })
		Expect(api.Delete(s, going)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			update(scene{ctx, s.namespace}, going, func(service *corev1.Service) { service.Finalizers = nil })
			Expect(api.Delete(ctx, &corev1.Service{ObjectMeta: own.meta("switchyard-spec")})).To(Succeed())
		})
		s.service("canary")
		Eventually(s.is("canary", diagnosis.EndpointsAvailable)).Should(Equal("False NoMatchingPods"))
		Consistently(func() int {
			return len(s.read("going").Status.Conditions) + len(own.read("switchyard-spec").Status.Conditions)
		}).Should(BeZero())
	})
})

var _ = Describe("A rollout", func() {
	It("is one write when it is the first, and none when pods are replaced", func(ctx SpecContext) {
		// As long as a rollout may take on a busy machine.
		halt()
		startManagerWith(time.Hour)
		DeferCleanup(func() {
			halt()
			startManager()
		})
		s := newScene(ctx)
		writes := s.versions("web")
		s.service("web")
		var pods []*corev1.Pod
		for i := range 10 {
			pods = append(pods, s.pod(fmt.Sprint("web-", i), "web", fmt.Sprint("10.1.0.", 1+i), notReady))
		}
		for _, pod := range pods {
			s.ready(pod)
		}
		s.answers("web")
		Consistently(s.is("web", diagnosis.EndpointsAvailable)).Should(Equal(well))
		first := writes()
		GinkgoWriter.Println("versions of a Service and its first 10 pods:", first)
		Expect(first).To(BeNumerically("<=", 2), "the creation, and all conditions together")

		writes = s.versions("web")
		for i := range 10 {
			s.pod(fmt.Sprint("new-", i), "web", fmt.Sprint("10.1.1.", 1+i))
			Expect(api.Delete(s, pods[i])).To(Succeed())
		}
		Consistently(s.is("web", diagnosis.EndpointsAvailable)).Should(Equal(well))
		again := writes()
		GinkgoWriter.Println("versions while its pods are replaced:", again)
		Expect(again).To(BeNumerically("<=", 1), "the watch begins with what is there")
	})
})

var _ = Describe("A write", func() {
	for _, code := range []int32{http.StatusInternalServerError, http.StatusTooManyRequests, http.StatusConflict, http.StatusForbidden} {
		It(fmt.Sprintf("that the API server refuses with %d is made later", code), func(ctx SpecContext) {
			DeferCleanup(func() { faults.refuse(0, 0) })
			s := newScene(ctx)
			faults.refuse(code, 4)
			s.service("web")
			Eventually(s.is("web", diagnosis.EndpointsAvailable)).Should(Equal("False NoMatchingPods"))
			Eventually(s.events("web")).Should(Equal([]string{"Warning NoMatchingPods"}))
		})
	}

	It("is not made for a Service that has gone meanwhile, and the next of its name is judged by itself", func(ctx SpecContext) {
		DeferCleanup(func() { faults.refuse(0, 0) })
		s := newScene(ctx)
		faults.refuse(http.StatusServiceUnavailable, 1000)
		before := faults.writes.Load()
		first := s.service("web")
		Eventually(faults.writes.Load).Should(BeNumerically(">", before))
		Expect(api.Delete(s, first)).To(Succeed())
		s.pod("web-1", "web", "10.1.0.1")
		s.service("web")
		faults.refuse(0, 0)
		s.answers("web")
		Expect(s.events("web")()).To(BeEmpty())
	})

	It("tells when the status has changed, and not when the reason alone has", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web")
		Eventually(s.is("web", diagnosis.EndpointsAvailable)).Should(Equal("False NoMatchingPods"))
		began := conditionOf(s.read("web"), diagnosis.EndpointsAvailable).LastTransitionTime
		Eventually(func() bool { now := metav1.Now(); return began.Time.Add(grace).Before(now.Time) }).Should(BeTrue())
		pod := s.pod("web-1", "web", "10.1.0.1", notReady)
		Eventually(s.is("web", diagnosis.EndpointsAvailable)).Should(Equal("False PodsNotReady"))
		Expect(conditionOf(s.read("web"), diagnosis.EndpointsAvailable).LastTransitionTime).To(Equal(began))
		s.ready(pod)
		s.answers("web")
		Expect(conditionOf(s.read("web"), diagnosis.EndpointsAvailable).LastTransitionTime.After(began.Time)).To(BeTrue())
	})
})
