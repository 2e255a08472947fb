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
	"net/netip"

	"switchyard.dev/switchyard/allocator"
)

// World is all that decides which addresses Services have.
type World struct {
	Pools        []allocator.AddrPool // of any use; those for load balancers count
	Reservations []allocator.Reservation
	Never        []allocator.AddrSpan
	Uses         map[Source][]netip.Addr
	Services     []Service
	Claims       []Claim
}

// Plan is what is to be, for a whole cluster.
func Plan(world World) Outcome {
	return Open(world).Settle()
}

// Open is a Book of the world, with nothing settled yet.
func Open(world World) *Book {
	b := NewBook()
	b.SetPools(world.Pools)
	b.SetNever(world.Never)
	for _, r := range world.Reservations {
		b.Reserve(r)
	}
	for source, addrs := range world.Uses {
		b.SetUses(source, addrs)
	}
	b.Load(world.Services, world.Claims)
	return b
}
