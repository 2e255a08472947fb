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
	var bad *faults
	BeforeEach(func() { bad = startBehindFaults() })

	DescribeTable("comes to the same end when the API server answers", func(ctx SpecContext, status int) {
		s := newScene(ctx)
		s.observe("web", s.crowd(12)[:9]...)
		s.observe("db", s.custom()...)
		bad.set(func(f *faults) {
			f.refuse = func(writes int) int { return status * (writes % 2) }
		})
		s.change()
		s.expectTheEnd()
	},
		Entry("every second write with a conflict", http.StatusConflict),
		Entry("every second write with too many requests", http.StatusTooManyRequests),
		Entry("every second write with an error of its own", http.StatusInternalServerError),
		Entry("every second write, and the answer is lost", lost),
	)

	It("comes to the same end when watches are dropped", func(ctx SpecContext) {
		s := newScene(ctx)
		s.observe("web", s.crowd(12)[:9]...)
		s.observe("db", s.custom()...)
		bad.dropWatches()
		s.relabel("green")
		bad.dropWatches()
		s.change()
		bad.dropWatches()
		s.expectTheEnd()
	})

	DescribeTable("comes to the same end when for a while there is no word of", func(ctx SpecContext, resource string) {
		s := newScene(ctx)
		s.observe("web", s.crowd(12)[:9]...)
		s.observe("db", s.custom()...)
		s.bystanders()
		bad.hide(resource)
		s.change()
		s.removeBystanders()
		// What needs no word of it is done by now, or has been tried.
		Eventually(bad.written).Should(BeNumerically(">", 0))
		bad.show()
		Eventually(bad.forgotten).Should(BeEmpty(), "it was not asked for what has happened since")
		s.expectTheEnd()
		s.expectNoBystanders()
	},
		Entry("Services", "services"),
		Entry("pods", "pods"),
		Entry("nodes", "nodes"),
		Entry("slices", "endpointslices"),
		Entry("Endpoints", "endpoints"),
	)
})

// startBehindFaults starts the controllers of small slices behind a connection
// that can be made bad, for one spec.
func startBehindFaults() *faults {
	GinkgoHelper()
	stopControllers()
	bad := &faults{}
	start(newManagerWith(bad.config(), "0"), controllers.EndpointsAll, smallSlices)
	bad.set(func(f *faults) { f.writes = 0 })
	DeferCleanup(func() {
		stopControllers()
		startControllers(controllers.EndpointsAll)
	})
	return bad
}

var smallSlices = controllers.EndpointsOptions{MaxEndpointsPerSlice: 4, NodeQuarantine: quarantine}

// change leaves pods 1 to 9 alone, and of the others has one unready, one gone,
// one relabelled and one new.
func (s scene) change() {
	GinkgoHelper()
	s.changeCustom()
	s.relabel("red")
	s.setReady("web-10", corev1.ConditionFalse)
	s.deletePod("web-11")
	update(s, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "web-12"}},
		func(pod *corev1.Pod) { pod.Labels["app"] = "quarantine" })
	s.pods("web", 13, 13)
}

func (s scene) deletePod(name string) {
	GinkgoHelper()
	Expect(api.Delete(s, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}},
		client.GracePeriodSeconds(0))).To(Succeed())
}

func (s scene) expectTheEnd() {
	GinkgoHelper()
	want := []endpoint{{"10.1.0.10", 8080, down}, {"10.1.0.13", 8080, up}}
	ready := []any{endpoint{"10.1.0.10", 8080, "not ready"}, endpoint{"10.1.0.13", 8080, "ready"}}
	for i := 1; i <= 9; i++ {
		want = append(want, endpoint{addressOf(i), 8080, up})
		ready = append(ready, endpoint{addressOf(i), 8080, "ready"})
	}
	Eventually(s.endpoints("web")).Should(ConsistOf(want))
	Eventually(s.teams).WithArguments("web").Should(SatisfyAll(HaveLen(1), HaveKey("red")))
	Eventually(s.addresses("web")).Should(ConsistOf(ready))
	s.expectCustomEnd()
}

// bystanders are Services that lose something of each kind: near a node, bare what
// was made of its pods, and aside the Endpoints by hand; far is deleted.
func (s scene) bystanders() {
	GinkgoHelper()
	node := "node-" + s.namespace
	createNode(s, node, "zone-b")
	for name, second := range map[string]string{"near": node, "bare": "node-b", "far": "node-b"} {
		s.service(name)
		s.pod(name+"-1", name, "101")
		s.pod(name+"-2", name, "102", onNode(second))
		Eventually(s.endpoints(name)).Should(HaveLen(2))
		Eventually(s.addresses(name)).Should(HaveLen(2))
	}
	s.service("aside", noSelector)
	s.handMade("aside")
	Eventually(s.endpoints("aside")).Should(HaveLen(2))
}

func (s scene) removeBystanders() {
	GinkgoHelper()
	slice, object := s.slices("bare")[0], &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "bare"}}
	aside, far := object.DeepCopy(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "far"}}
	aside.Name = "aside"
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-" + s.namespace}}
	for _, gone := range []client.Object{&slice, object, aside, far, node} {
		Expect(api.Delete(s, gone)).To(Succeed(), fmt.Sprintf("%T %s", gone, gone.GetName()))
	}
}

func (s scene) expectNoBystanders() {
	GinkgoHelper()
	Eventually(s.endpoints("near")).Should(Equal([]endpoint{{"10.1.0.101", 8080, up}}), "a node is gone")
	Expect(s.addresses("near")()).To(HaveLen(2))
	Eventually(s.endpoints("bare")).Should(HaveLen(2))
	Eventually(s.addresses("bare")).Should(HaveLen(2))
	Eventually(func() int { return len(s.slices("far")) }).Should(BeZero())
	Eventually(s.hasNoEndpointsObject("far")).Should(BeTrue())
	Eventually(func() int { return len(s.slices("aside")) }).Should(BeZero())
}
