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

package webhooks

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// Whoever waits in vain would keep an address from everybody, for as long as a
// finalizer of its, or for ever. It waits in vain for what X5 would refuse.
func TestWhoWaitsInVainKeepsNothingFromOthers(t *testing.T) {
	const address = "198.51.100.7"
	edge := addrPool("edge", v1alpha1.UseLoadBalancer, "198.51.100.0", "198.51.100.15", "blue")
	some := edge
	some.Services = labels.SelectorFromSet(labels.Set{"tier": "front"})
	reservedFor := func(namespace, name string) []allocator.Reservation {
		number := allocator.AddrNumber(netip.MustParseAddr(address))
		return []allocator.Reservation{{Number: number, Object: number.ReservationName(), Service: types.NamespacedName{Namespace: namespace, Name: name}}}
	}
	first := func(change ...func(*corev1.Service)) *corev1.Service {
		svc := service("first", append(change, wishing(v1alpha1.LoadBalancerIPsAnnotation, address))...)
		svc.Namespace = "team"
		return svc
	}
	inTier := func(svc *corev1.Service) { svc.Labels = map[string]string{"tier": "front"} }
	for name, tc := range map[string]struct {
		pools        []allocator.AddrPool
		required     v1alpha1.AddressUse
		reservations []allocator.Reservation
		team         string
		first        *corev1.Service
		waits        bool
	}{
		"where there are no pools":                     {first: first(), waits: true},
		"in the namespace of the pool":                 {pools: []allocator.AddrPool{edge}, team: "blue", first: first(), waits: true},
		"with the labels that the pool selects":        {pools: []allocator.AddrPool{some}, team: "blue", first: first(inTier), waits: true},
		"with a reservation":                           {reservations: reservedFor("team", "first"), first: first(), waits: true},
		"in vain, in another namespace":                {pools: []allocator.AddrPool{edge}, team: "red", first: first()},
		"in vain, without the labels":                  {pools: []allocator.AddrPool{some}, team: "blue", first: first()},
		"in vain, as the pool is elsewhere":            {pools: []allocator.AddrPool{addrPool("far", v1alpha1.UseLoadBalancer, "192.0.2.0", "192.0.2.15", "blue")}, team: "blue", first: first()},
		"in vain, as pools are required":               {required: v1alpha1.UseLoadBalancer, first: first()},
		"in vain, as it is reserved":                   {reservations: reservedFor("default", "web"), first: first()},
		"in vain, as it is reserved, whatever pool":    {pools: []allocator.AddrPool{edge}, team: "blue", reservations: reservedFor("default", "web"), first: first()},
		"in vain, in a pool that a reservation is not": {pools: []allocator.AddrPool{edge}, team: "red", reservations: reservedFor("team", "first"), first: first()},
	} {
		t.Run(name, func(t *testing.T) {
			world := &memory{pools: NewPools(nil, tc.pools), required: tc.required, reservations: tc.reservations,
				namespaces: map[string]labels.Set{"team": {"team": tc.team}}}
			judged, err := ValidateService(t.Context(), world, Severities{"X12": Off}, ServiceChange{New: tc.first})
			if err != nil || tc.waits != (len(judged.Errors) == 0) {
				t.Errorf("X5 does not agree: %v, %v", judged.Errors, err)
			}

			world.services = []*corev1.Service{tc.first}
			want := wantVerdict{}
			if tc.waits {
				want.errors = []string{"team/first already waits for this address with port 80/TCP"}
			}
			got, err := ValidateService(t.Context(), world, Severities{"X5": Off, "X12": Off},
				ServiceChange{New: service("web", wishing(v1alpha1.LoadBalancerIPsAnnotation, address))})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, want)
		})
	}
}

func TestWhatIsBeingDeletedWaitsForNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		other *corev1.Service
		want  wantVerdict
	}{
		"without an address":         {other: going(service("other", requests("198.51.100.2")), "mine")},
		"by an annotation":           {other: going(service("other", wishing("metallb.io/loadBalancerIPs", "198.51.100.2")), "mine")},
		"but keeps what it has":      {other: going(service("other", ingress("198.51.100.2")), "mine"), want: wantVerdict{errors: []string{"default/other already serves port 80/TCP"}}},
		"an external IP among these": {other: going(service("other", external("198.51.100.2")), "mine"), want: wantVerdict{errors: []string{"default/other already serves port 80/TCP"}}},
	} {
		t.Run(name, func(t *testing.T) {
			world := &memory{services: []*corev1.Service{tc.other}}
			got, err := ValidateService(t.Context(), world, Severities{"X12": Off}, ServiceChange{New: service("web", requests("198.51.100.2"))})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}
