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

package balancer

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// town is 10,000 Services over 20 pools, each for the Services of one label.
func town() World {
	var world World
	for i := range 20 {
		world.Pools = append(world.Pools, pool(fmt.Sprint("pool-", i), fmt.Sprintf("10.%d.0.0/16 2001:db8:%x::/64", i, i), forServices("pool", fmt.Sprint(i)), avoiding))
	}
	for i := range 10000 {
		world.Services = append(world.Services, svc(fmt.Sprintf("ns-%d/s-%d", i%100, i), labelled("pool", fmt.Sprint(i%20)), prefer))
	}
	return world
}

// BenchmarkPlan is a whole cluster at once: nothing is given yet, and all is.
func BenchmarkPlan(b *testing.B) {
	world := town()
	book := Open(world)
	if n := len(book.Settle().Decisions); n != 10000 || len(book.Claims()) != 20000 {
		b.Fatalf("%d decisions, %d claims", n, len(book.Claims()))
	}
	settled := world
	settled.Claims = book.Claims()
	for name, world := range map[string]World{"new": world, "restart": settled} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Plan(world)
			}
		})
	}
}

// BenchmarkChange is one Service among 10,000 that goes and comes.
func BenchmarkChange(b *testing.B) {
	for name, waiting := range map[string]int{"nobody waits": 0, "1000 wait": 1000} {
		b.Run(name, func(b *testing.B) {
			world := town()
			world.Pools = append(world.Pools, pool("small", "192.0.2.1", forServices("pool", "small")))
			for i := range waiting {
				world.Services = append(world.Services, svc(fmt.Sprintf("waiting/s-%d", i), labelled("pool", "small")))
			}
			book := Open(world)
			book.Settle()
			service := world.Services[5000]
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				book.Forget(service.Key)
				service.UID = types.UID(fmt.Sprint(i))
				book.Observe(service)
				if o := book.Settle(); len(o.Decisions) != 1 || len(o.Claims) != 2 {
					b.Fatalf("%d decisions, %d claims", len(o.Decisions), len(o.Claims))
				}
			}
		})
	}
}
