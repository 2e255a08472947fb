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
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// eachField calls test with copies of full, of which no field is zero, that
// have one field less.
func eachField[T any](t *testing.T, full T, test func(less T, name string)) {
	t.Helper()
	for i := range reflect.TypeFor[T]().NumField() {
		less, name := full, reflect.TypeFor[T]().Field(i).Name
		field := reflect.ValueOf(&less).Elem().Field(i)
		if field.IsZero() {
			t.Fatalf("%T has no %s", full, name)
		}
		field.SetZero()
		test(less, name)
	}
}

// What is equal is no change, and nobody is told of it.
func TestWhatIsEqualIsEqualInEveryField(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	port := ServicePort{
		Name: ServicePortName{Name: "web"}, Port: 80, NodePort: 30080, ClusterIPs: addrs, ExternalIPs: addrs, LoadBalancerIPs: addrs, Pooled: true,
		Traffic: Traffic{
			InternalLocal: true, ExternalLocal: true, Affinity: time.Second, AffinityScope: PerService, Scheduler: Weighted,
			Weights: &Weights{ByPod: map[string]uint16{"a": 2}}, SourceRanges: cidrs("10.0.0.0/8"), HealthCheckNodePort: 31000,
		},
	}
	eachField(t, port, func(less ServicePort, name string) {
		if port.equal(&less) || less.equal(&port) {
			t.Errorf("equal without %s", name)
		}
	})
	eachField(t, port.Traffic, func(less Traffic, name string) {
		if port.Traffic.equal(&less) || less.equal(&port.Traffic) {
			t.Errorf("equal without %s", name)
		}
	})
	hints := Hints{ForNodes: []string{"n"}, ForZones: []string{"z"}}
	endpoint := Endpoint{
		Addr: netip.MustParseAddrPort("10.0.0.1:80"), Ready: true, Serving: true, Terminating: true,
		Weight: 2, NodeName: "n", Zone: "z", Pod: "p", Hints: &hints,
	}
	eachField(t, endpoint, func(less Endpoint, name string) {
		if endpoint.equal(&less) || less.equal(&endpoint) {
			t.Errorf("equal without %s", name)
		}
	})
	eachField(t, hints, func(less Hints, name string) {
		other := endpoint
		if other.Hints = &less; endpoint.equal(&other) {
			t.Errorf("equal without %s", name)
		}
	})
	again, weights := port, *port.Traffic.Weights
	if again.Traffic.Weights = &weights; !port.equal(&again) || !endpoint.equal(&endpoint) {
		t.Error("not equal to a copy")
	}
}
