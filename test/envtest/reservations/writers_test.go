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

package reservations

import (
	"context"
	"errors"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/placeholder"
)

// The API server writes down a port before it stores the Service that has it, and
// writes down that it is free before it stores the Service that gives it up. When
// the second write is lost to another one, the first stays for minutes.
var _ = Describe("Several replicas that hold and release at once", func() {
	const replicas, rounds = 8, 4
	var numbers, odd, even []allocator.Number
	for n := int32(30064); n < 30096; n++ {
		numbers = append(numbers, port(n))
		if n%2 == 0 {
			even = append(even, port(n))
		} else {
			odd = append(odd, port(n))
		}
	}

	// inParallel has every replica do something with every number, each in an
	// order of its own.
	inParallel := func(do func(k *placeholder.Keeper, number allocator.Number, round int) error) {
		GinkgoHelper()
		var all sync.WaitGroup
		for replica := range replicas {
			all.Go(func() {
				defer GinkgoRecover()
				k := newKeeper()
				for step := range rounds * len(numbers) {
					number := numbers[(step*5+replica*4)%len(numbers)]
					err := do(k, number, step/len(numbers)+replica)
					if _, taken := errors.AsType[*placeholder.TakenError](err); !taken { // else another one is at it
						Expect(err).NotTo(HaveOccurred())
					}
				}
			})
		}
		all.Wait()
	}
	hold := func(ctx context.Context, k *placeholder.Keeper, number allocator.Number) error {
		return k.Hold(ctx, []allocator.Reservation{{Number: number}})
	}

	BeforeEach(func() { DeferCleanup(clean) })

	It("leave no port behind that the server gives to nobody", func(ctx SpecContext) {
		inParallel(func(k *placeholder.Keeper, number allocator.Number, round int) error {
			if round%2 == 0 {
				return hold(ctx, k, number)
			}
			return k.Release(ctx, number)
		})
		for _, number := range numbers {
			Expect(newKeeper().Release(ctx, number)).To(Succeed())
		}
		Expect(held(ctx)).To(BeEmpty())
		given(ctx, numbers...)
	})

	It("leave none free that they hold", func(ctx SpecContext) {
		inParallel(func(k *placeholder.Keeper, number allocator.Number, _ int) error {
			if number.Port%2 == 0 {
				return k.Release(ctx, number)
			}
			return hold(ctx, k, number)
		})
		for _, number := range odd {
			Expect(hold(ctx, newKeeper(), number)).To(Succeed())
		}
		refused(ctx, odd...)
		given(ctx, even...)
	})
})
