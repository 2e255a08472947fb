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

package subsets

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/subsets/subsetstest"
)

func TestRepack(t *testing.T) {
	port := func(name string, number int32) corev1.EndpointPort {
		return corev1.EndpointPort{Name: name, Port: number, Protocol: corev1.ProtocolTCP}
	}
	ips := func(all ...string) []corev1.EndpointAddress {
		var addresses []corev1.EndpointAddress
		for _, ip := range all {
			addresses = append(addresses, corev1.EndpointAddress{IP: ip})
		}
		return addresses
	}
	cases := map[string]struct {
		subsets []corev1.EndpointSubset
		want    []string
	}{
		"the same port is gathered, and addresses are sorted": {
			[]corev1.EndpointSubset{
				{Addresses: ips("10.0.0.2"), Ports: []corev1.EndpointPort{port("a", 1)}},
				{Addresses: ips("10.0.0.1"), Ports: []corev1.EndpointPort{port("a", 1)}},
			}, []string{"10.0.0.1 10.0.0.2 @ a:1/TCP"},
		},
		"ports of different addresses part": {
			[]corev1.EndpointSubset{
				{Addresses: ips("10.0.0.1", "10.0.0.2"), Ports: []corev1.EndpointPort{port("a", 1), port("b", 2)}},
				{Addresses: ips("10.0.0.3"), Ports: []corev1.EndpointPort{port("b", 2)}},
			}, []string{"10.0.0.1 10.0.0.2 @ a:1/TCP", "10.0.0.1 10.0.0.2 10.0.0.3 @ b:2/TCP"},
		},
		"not ready wins over ready, for its port": {
			[]corev1.EndpointSubset{
				{Addresses: ips("10.0.0.1"), Ports: []corev1.EndpointPort{port("a", 1), port("b", 2)}},
				{NotReadyAddresses: ips("10.0.0.1"), Ports: []corev1.EndpointPort{port("a", 1)}},
			}, []string{"!10.0.0.1 @ a:1/TCP", "10.0.0.1 @ b:2/TCP"},
		},
		"addresses without a port are kept": {
			[]corev1.EndpointSubset{{Addresses: ips("10.0.0.1")}, {Addresses: ips("10.0.0.2"), Ports: []corev1.EndpointPort{port("a", 1)}}},
			[]string{"10.0.0.1 @", "10.0.0.2 @ a:1/TCP"},
		},
		"a port without addresses is not": {
			[]corev1.EndpointSubset{{Ports: []corev1.EndpointPort{port("a", 1)}}}, []string{},
		},
	}
	for title, tc := range cases {
		t.Run(title, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, subsetstest.Spell(Repack(tc.subsets))); diff != "" {
				t.Errorf("subsets (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRepackIsTheSameForEveryOrderAndTwice(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var subsets []corev1.EndpointSubset
		for range 1 + random.IntN(8) {
			subset := corev1.EndpointSubset{}
			for range random.IntN(3) {
				subset.Ports = append(subset.Ports, corev1.EndpointPort{Name: fmt.Sprint("p", random.IntN(3)), Port: int32(1 + random.IntN(2))})
			}
			subset.Addresses = append(subset.Addresses, corev1.EndpointAddress{IP: fmt.Sprint("10.0.0.", random.IntN(4))})
			if random.IntN(3) == 0 {
				subset.NotReadyAddresses = subset.Addresses
				subset.Addresses = nil
			}
			subsets = append(subsets, subset)
		}
		packed := Repack(subsets)
		shuffled := slices.Clone(subsets)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if diff := cmp.Diff(packed, Repack(shuffled)); diff != "" {
			t.Fatalf("another order packs differently:\n%s", diff)
		}
		if diff := cmp.Diff(packed, Repack(packed)); diff != "" {
			t.Fatalf("packing twice differs:\n%s", diff)
		}
	}
}

// Whatever order maps have, the same is said of an address in every subset.
func TestRepackSaysOfAnAddressWhatComesFirst(t *testing.T) {
	of := func(hostname string, port int32) corev1.EndpointSubset {
		return corev1.EndpointSubset{
			Addresses: []corev1.EndpointAddress{{IP: "10.0.0.1", Hostname: hostname}}, Ports: []corev1.EndpointPort{{Port: port}},
		}
	}
	other := of("", 3)
	other.Addresses = append(other.Addresses, corev1.EndpointAddress{IP: "10.0.0.2"})
	for range 50 {
		for _, subset := range Repack([]corev1.EndpointSubset{of("first", 1), of("second", 2), other}) {
			if got := subset.Addresses[0].Hostname; got != "first" {
				t.Fatalf("the hostname of %v is %q", subset.Addresses[0], got)
			}
		}
	}
}
