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

package discovery

import (
	"fmt"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// town is an index of n Services with five endpoints each; each tenth is headless.
func town(n int) *Index {
	x := NewIndex(Options{Zone: zone})
	x.SetNamespace("town")
	for i := range n {
		svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "town", Name: fmt.Sprintf("s%d", i)}}
		svc.Spec.ClusterIPs = []string{fmt.Sprintf("10.96.%d.%d", i/250, i%250+1)}
		if i%10 == 0 {
			svc.Spec.ClusterIPs[0] = corev1.ClusterIPNone
		}
		svc.Spec.ClusterIP = svc.Spec.ClusterIPs[0]
		svc.Spec.Ports = []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}}
		x.SetService(svc)
		x.SetSlice(townSlice(i, 0))
	}
	return x
}

func townSlice(i, shift int) *discoveryv1.EndpointSlice {
	eps := endpointSlice(fmt.Sprintf("s%d-x", i), []discoveryv1.EndpointPort{portOf("http", 8080)})
	eps.Namespace, eps.Labels[discoveryv1.LabelServiceName] = "town", fmt.Sprintf("s%d", i)
	for e := range 5 {
		eps.Endpoints = append(eps.Endpoints, endpoint(fmt.Sprintf("10.%d.%d.%d", i/250, i%250, 5*shift+e+1)))
	}
	return eps
}

func BenchmarkLookup(b *testing.B) {
	x := town(10_000)
	for name, q := range map[string]Question{
		"ClusterIP": {"s17.town.svc", zone, A}, "headless": {"s20.town.svc", zone, A}, "SRV": {"_http._tcp.s17.town.svc", zone, SRV},
		"unknown": {"nobody.town.svc", zone, A}, "endpoint": {"10-0-20-3.s20.town.svc", zone, A},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var answer Answer
				for pb.Next() {
					x.Lookup(q, &answer)
				}
			})
		})
	}
	b.Run("ClusterIP during changes", func(b *testing.B) {
		slices := [2]*discoveryv1.EndpointSlice{townSlice(20, 0), townSlice(20, 1)}
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					x.SetSlice(slices[i%2])
				}
			}
		}()
		b.RunParallel(func(pb *testing.PB) {
			var answer Answer
			for pb.Next() {
				x.Lookup(Question{"s17.town.svc", zone, A}, &answer)
			}
		})
		close(stop)
		<-stopped
	})
}

func BenchmarkSetSlice(b *testing.B) {
	x := town(10_000)
	slices := [2]*discoveryv1.EndpointSlice{townSlice(20, 0), townSlice(20, 1)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		x.SetSlice(slices[i%2])
	}
}

func BenchmarkMemoryOf10000Services(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		x := town(10_000)
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(x)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
}
