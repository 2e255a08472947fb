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

package model

import (
	"fmt"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// crowded is a Store of Services with ten endpoints each.
func crowded(services int) *Store {
	store := NewStore(Options{})
	for i := range services {
		store.SetService(nthService(i))
		store.SetSlice(nthSlice(i, 10, 0))
	}
	store.TakeDirty()
	store.TakeProblems()
	return store
}

func nthService(i int) *corev1.Service {
	ip := netip.AddrFrom4([4]byte{10, 96 + byte(i>>16), byte(i >> 8), byte(i)}).String()
	return makeService(fmt.Sprint("service-", i), clusterIPs(ip))
}

// nthSlice is the slice of Service i, whose first endpoint is another one in
// each of two generations.
func nthSlice(i, endpoints, generation int) *discoveryv1.EndpointSlice {
	eps := makeSlice(fmt.Sprint("service-", i), fmt.Sprint("service-", i, "-a"))
	for e := range endpoints {
		n := i*endpoints + e
		if e == 0 {
			n += generation % 2 << 22
		}
		endpoint(netip.AddrFrom4([4]byte{11, byte(n >> 16), byte(n >> 8), byte(n)}).String(), "ready serving")(eps)
		eps.Endpoints[e].NodeName, eps.Endpoints[e].Zone = new(fmt.Sprint("node-", n%100)), new(fmt.Sprint("zone-", n%3))
	}
	return eps
}

// A slice comes with one endpoint replaced, until the ServicePort it concerns
// is known with its endpoints, and what is wrong with them.
func BenchmarkSliceUpdate(b *testing.B) {
	for _, services := range []int{1000, 10_000, 50_000} {
		b.Run(fmt.Sprintf("%dx10", services), func(b *testing.B) { updateSlices(b, crowded(services), services/2, 10) })
	}
	b.Run("1000 of one among 1000x10", func(b *testing.B) {
		store := crowded(1000)
		store.SetSlice(nthSlice(5000, 1000, 0))
		store.SetService(nthService(5000))
		updateSlices(b, store, 5000, 1000)
	})
}

func updateSlices(b *testing.B, store *Store, service, endpoints int) {
	generations := []*discoveryv1.EndpointSlice{nthSlice(service, endpoints, 0), nthSlice(service, endpoints, 1)}
	store.SetSlice(generations[0])
	store.TakeDirty()
	b.ReportAllocs()
	for n := 1; b.Loop(); n++ {
		store.SetSlice(generations[n%2])
		dirty := store.TakeDirty()
		if len(dirty) != 1 {
			b.Fatal("dirty: ", dirty)
		}
		if got := len(store.Endpoints(dirty[0], IPv4)); got != endpoints {
			b.Fatal(got, " endpoints")
		}
		if found := store.TakeProblems(); len(found) != 0 {
			b.Fatal(found)
		}
	}
}

// What the API server sends again without a difference costs no more than to
// see that.
func BenchmarkSliceUnchanged(b *testing.B) {
	store, same := crowded(1000), nthSlice(500, 10, 0)
	b.ReportAllocs()
	for b.Loop() {
		store.SetSlice(same)
		if dirty := store.TakeDirty(); len(dirty) != 0 {
			b.Fatal("dirty: ", dirty)
		}
	}
}

// All objects come for the first time.
func BenchmarkFill(b *testing.B) {
	const services = 10_000
	var list []*corev1.Service
	var slices []*discoveryv1.EndpointSlice
	for i := range services {
		list, slices = append(list, nthService(i)), append(slices, nthSlice(i, 10, 0))
	}
	b.ReportAllocs()
	for b.Loop() {
		store := NewStore(Options{})
		for i := range services {
			store.SetService(list[i])
			store.SetSlice(slices[i])
		}
		if dirty := store.TakeDirty(); len(dirty) != services {
			b.Fatal(len(dirty), " are dirty")
		}
	}
	b.ReportMetric(services, "services/op")
}
