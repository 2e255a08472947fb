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

package policy

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

func benchService(i int) *corev1.Service {
	ip := netip.AddrFrom4([4]byte{10, 96, byte(i >> 8), byte(i)}).String()
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("service-", i), UID: "0b9d7b1e-9b0e-4c57-a5b0-6d1f4f1f2a11"},
		Spec: corev1.ServiceSpec{
			ClusterIP: ip, ClusterIPs: []string{ip}, Ports: []corev1.ServicePort{{Name: "http", Protocol: "TCP", Port: 80}},
		},
	}
}

// benchSlice is slice number part of Service i; generation moves one endpoint.
func benchSlice(i, part, endpoints, generation int) *discoveryv1.EndpointSlice {
	eps := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: fmt.Sprintf("service-%d-%d", i, part), UID: "0b9d7b1e-9b0e-4c57-a5b0-6d1f4f1f2a11",
			Labels: map[string]string{discoveryv1.LabelServiceName: fmt.Sprint("service-", i)},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Protocol: new(corev1.ProtocolTCP), Port: new(int32(8080))}},
	}
	for e := range endpoints {
		n := i*endpoints + part*endpoints + e
		if e == 0 {
			n += generation % 2 << 22
		}
		eps.Endpoints = append(eps.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}).String()},
			NodeName:  new(fmt.Sprint("node-", n%100)), Zone: new(fmt.Sprint("zone-", n%3)),
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Name: fmt.Sprintf("service-%d-5d8f9c7b6-%d", i, e)},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
		})
	}
	return eps
}

func benchStore(services, endpoints int) *model.Store {
	store := model.NewStore(model.Options{})
	for i := range services {
		store.SetService(benchService(i))
		store.SetSlice(benchSlice(i, 0, endpoints, 0))
	}
	store.TakeDirty()
	store.TakeProblems()
	return store
}

// One endpoint of one Service changes.
func BenchmarkEndpointChange(b *testing.B) {
	for _, services := range []int{1000, 10_000, 50_000} {
		b.Run(fmt.Sprintf("%dx10", services), func(b *testing.B) {
			benchmarkChange(b, benchStore(services, 10), services, 1, 10)
		})
	}
	b.Run("5000 of one among 1000x10", func(b *testing.B) {
		store := benchStore(1000, 10)
		for part := range 50 {
			store.SetSlice(benchSlice(0, part, 100, 0))
		}
		store.TakeDirty()
		benchmarkChange(b, store, 1, 50, 100)
	})
}

func benchmarkChange(b *testing.B, store *model.Store, services, parts, endpoints int) {
	b.ReportAllocs()
	decider := Decider{Store: store, Family: model.IPv4, Place: here}
	var last Decision
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		eps := benchSlice(n%services, n%parts, endpoints, n+1)
		b.StartTimer()
		store.SetSlice(eps)
		store.TakeProblems()
		for _, name := range store.TakeDirty() {
			d, _ := decider.Decide(name)
			Equal(last, d)
			last = d
		}
	}
}

// Everything is decided, as at a start, and what a node then holds of a cluster
// is measured: the model and one family's decisions.
func BenchmarkDecideAll(b *testing.B) {
	b.ReportAllocs()
	before := heap()
	store := benchStore(10_000, 10)
	model := heap() - before
	held := decideAll(store)
	decisions := heap() - before - model
	for b.Loop() {
		held = decideAll(store)
	}
	b.ReportMetric(float64(model)/1e6, "MB-model")
	b.ReportMetric(float64(decisions)/1e6, "MB-decisions")
	runtime.KeepAlive(held)
}

func decideAll(store *model.Store) map[model.ServicePortName]Decision {
	held := map[model.ServicePortName]Decision{}
	for _, name := range store.Names() {
		port, _ := store.ServicePort(name)
		held[name], _ = Decide(port, store.Endpoints(name, model.IPv4), model.IPv4, here)
	}
	return held
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
