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

package endpoints

import (
	"fmt"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/controllers"
)

// Whatever goes wrong on the way: the end is the same, and no proxy ever saw an
// endpoint missing that was there all the time.
var _ = Describe("A Service of many slices", Serial, func() {
	smallSlices := controllers.EndpointsOptions{MaxEndpointsPerSlice: 4}
	var bad *faults

	BeforeEach(func() {
		stopControllers()
		bad = &faults{}
		start(newManagerWith(bad.config(), "0"), controllers.EndpointsAll, smallSlices)
		DeferCleanup(func() {
			stopControllers()
			startControllers(controllers.EndpointsAll)
		})
	})

	// change leaves pods 1 to 9 alone, and of the others has one unready, one gone,
	// one relabelled and one new.
	change := func(s scene) {
		GinkgoHelper()
		s.relabel("red")
		s.setReady("web-10", corev1.ConditionFalse)
		Expect(api.Delete(s, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "web-11"}},
			client.GracePeriodSeconds(0))).To(Succeed())
		update(s, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "web-12"}},
			func(pod *corev1.Pod) { pod.Labels["app"] = "quarantine" })
		s.pod("web-13", "web", "13")
	}
	expectTheEnd := func(s scene) {
		GinkgoHelper()
		want := []endpoint{{"10.1.0.10", 8080, down}, {"10.1.0.13", 8080, up}}
		var ready []any
		for i := 1; i <= 9; i++ {
			want = append(want, endpoint{fmt.Sprint("10.1.0.", i), 8080, up})
			ready = append(ready, endpoint{fmt.Sprint("10.1.0.", i), 8080, "ready"})
		}
		Eventually(s.endpoints("web")).Should(ConsistOf(want))
		Eventually(s.teams).Should(Equal(map[string]int{"red": 3}))
		Eventually(s.addresses("web")).Should(ConsistOf(append(ready, endpoint{"10.1.0.10", 8080, "not ready"}, endpoint{"10.1.0.13", 8080, "ready"})))
	}

	DescribeTable("comes to the same end when the API server answers", func(ctx SpecContext, status int) {
		s := newScene(ctx)
		s.observe("web", s.crowd(12)[:9]...)
		bad.set(func(f *faults) {
			f.refuse = func(writes int) int { return status * (writes % 2) }
		})
		change(s)
		expectTheEnd(s)
	},
		Entry("every second write with a conflict", http.StatusConflict),
		Entry("every second write with too many requests", http.StatusTooManyRequests),
		Entry("every second write with an error of its own", http.StatusInternalServerError),
	)

	It("comes to the same end when watches are dropped", func(ctx SpecContext) {
		s := newScene(ctx)
		s.observe("web", s.crowd(12)[:9]...)
		bad.dropWatches()
		s.relabel("green")
		bad.dropWatches()
		change(s)
		bad.dropWatches()
		expectTheEnd(s)
	})

	It("comes to the same end when another leader takes over in the middle of an update", func(ctx SpecContext) {
		s := newScene(ctx)
		s.observe("web", s.crowd(12)[:9]...)
		struck := make(chan struct{})
		bad.set(func(f *faults) {
			f.writes = 0
			f.refuse = func(writes int) int {
				if writes == 1 { // The first of the slices is written; f.mu is held.
					f.dead = true
					close(struck)
				}
				return 0
			}
		})
		s.relabel("blue-green")
		Eventually(struck).Should(BeClosed())
		stopControllers()
		start(newManagerWith(restConfig, "0"), controllers.EndpointsAll, smallSlices)
		change(s)
		expectTheEnd(s)
	})

	It("still loses endpoints while its namespace goes", func(ctx SpecContext) {
		s := newScene(ctx)
		s.observe("web", s.crowd(12)[:9]...)
		// No namespace controller runs here: it stays on its way out.
		Expect(api.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}})).To(Succeed())
		s.setReady("web-10", corev1.ConditionFalse)
		Eventually(s.endpoints("web")).Should(ContainElement(endpoint{"10.1.0.10", 8080, down}))
		Expect(api.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "web-11"}},
			client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(s.endpoints("web")).Should(HaveLen(11))
	})
})
