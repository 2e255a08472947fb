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
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/controllers"
)

var _ = Describe("A Service of a thousand pods", Serial, func() {
	// Ten slices, their Endpoints, and three slices that mirror others.
	const objects = 10 + 1 + 3
	lead := func(f *faults) {
		GinkgoHelper()
		start(newManagerWith(f.config(), "0"), controllers.EndpointsAll, controllers.EndpointsOptions{})
	}

	It("comes to the same end when another leader takes over in the middle of an update", func(ctx SpecContext) {
		stopControllers()
		leader := &faults{}
		lead(leader)
		DeferCleanup(func() {
			stopControllers()
			startControllers(controllers.EndpointsAll)
		})
		s := newScene(ctx)
		s.observe("web", s.crowd(1000)...)
		s.observe("db", s.custom()...)
		for _, update := range []struct {
			team  string
			death int
		}{{"green", 0}, {"red", lost}} {
			By("killing the leader at a write of " + update.team)
			struck := make(chan struct{})
			leader.set(func(f *faults) {
				f.namespace, f.writes = s.namespace, 0 // Other specs have left Services behind.
				f.refuse = func(writes int) int {
					if writes < objects/2 {
						return 0
					}
					if !f.dead { // f.mu is held.
						f.dead = true
						close(struck)
					}
					return update.death
				}
			})
			s.relabel(update.team)
			s.relabelCustom(update.team)
			Eventually(struck).Should(BeClosed())
			stopControllers()
			made := s.relabelled(update.team)
			Expect(made).To(And(BeNumerically(">", 0), BeNumerically("<", objects)), "some are written, and the others not")

			By("taking over")
			leader = &faults{namespace: s.namespace}
			lead(leader)
			Eventually(s.relabelled).WithArguments(update.team).Should(Equal(objects))
			Consistently(leader.written).Should(Equal(objects - made))
			GinkgoWriter.Printf("%s: the first leader wrote %d of %d objects, the second %d\n", update.team, made, objects, objects-made)
		}
		Expect(s.endpoints("web")()).To(HaveLen(1000))
		Expect(s.addresses("web")()).To(HaveLen(1000))
	})
})

func (s scene) relabelCustom(value string) {
	GinkgoHelper()
	update(s, &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "db"}},
		func(object *corev1.Endpoints) { object.Labels["team"] = value })
}

// relabelled counts the objects that have followed relabel and relabelCustom.
func (s scene) relabelled(value string) int {
	GinkgoHelper()
	n := s.teams("web")[value] + s.teams("db")[value]
	if object, err := s.endpointsObject("web"); err == nil && object.Labels["team"] == value {
		n++
	}
	return n
}
