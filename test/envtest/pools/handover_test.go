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

package pools

import (
	"context"
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

const thieves = 8

// The rules refuse what the API server has drawn for a request that was under way
// when the port was let go of.
var _ = Describe("A reserved port in a range that is full but for it", func() {
	inEachModeOf(scene{rules: true}, func(s *scene) {
		var port allocator.Number
		BeforeEach(func(ctx SpecContext) {
			port = s.reserve(ctx, &v1alpha1.PortReservation{
				ObjectMeta: metav1.ObjectMeta{Name: "30025"},
				Spec:       v1alpha1.PortReservationSpec{ServiceRef: serviceRef("red", "web"), Retain: "Retain"},
			})
			for n := int32(30000); n <= 30031; n++ {
				if n != port.Port {
					Expect(admin.Create(ctx, nodePort("others", fmt.Sprint("s", n), n))).To(Succeed())
				}
			}
			s.endClaims(ctx)
		})

		It("is its Service's, whoever else asks for any port all the while", func(ctx SpecContext) {
			end := s.steal(ctx)
			defer end()
			for range 5 {
				web := nodePort("red", "web", 0)
				Eventually(ctx, func() error {
					err := admin.Create(ctx, web)
					if err != nil && !apierrors.IsServiceUnavailable(err) {
						return StopTrying("the owner was refused").Wrap(err)
					}
					return err
				}).Should(Succeed())
				Expect(web.Spec.Ports[0].NodePort).To(Equal(port.Port))
				Expect(admin.Delete(ctx, web)).To(Succeed())
			}
		})
	})
})

// steal creates Services with any port until it is ended. Those that get one keep
// it.
func (s *scene) steal(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var clients sync.WaitGroup
	for i := range thieves {
		clients.Go(func() {
			for try := 0; ctx.Err() == nil; try++ {
				_ = admin.Create(ctx, nodePort("blue", fmt.Sprintf("thief-%d-%d", i, try), 0))
			}
		})
	}
	return func() { cancel(); clients.Wait() }
}
