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
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// offerAt is the offer of a pod of that number.
func offerAt(n int, ready bool, ports ...corev1.EndpointPort) *Offer {
	return &Offer{
		Address: corev1.EndpointAddress{
			IP: fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255), NodeName: new("node"),
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: fmt.Sprint("web-", n), UID: types.UID(fmt.Sprint("uid-", n))},
		},
		Ready: ready, Ports: ports,
	}
}

func httpPort(number int32) corev1.EndpointPort {
	return corev1.EndpointPort{Name: "http", Port: number, Protocol: corev1.ProtocolTCP}
}

// randomOffer has one of a few lists of ports, and often an address that others
// have as well.
func randomOffer(r *rand.Rand, n int) *Offer {
	offer := offerAt(n, r.IntN(4) > 0)
	for i, name := range []string{"http", "metrics", "dns"} {
		if r.IntN(3) > 0 {
			number := 8000
			if i == 0 {
				number += r.IntN(2)
			}
			offer.Ports = append(offer.Ports, corev1.EndpointPort{Name: name, Port: int32(number), Protocol: corev1.ProtocolTCP})
		}
	}
	r.Shuffle(len(offer.Ports), func(i, j int) { offer.Ports[i], offer.Ports[j] = offer.Ports[j], offer.Ports[i] })
	if r.IntN(3) == 0 { // on the host network
		offer.Address.IP = fmt.Sprint("192.168.0.", r.IntN(4))
	}
	if r.IntN(5) == 0 {
		offer.Address.Hostname = fmt.Sprint("host-", r.IntN(2))
	}
	return offer
}

// wholeOf is what Repack and Truncate make of offers.
func wholeOf(offers map[string]*Offer, limit int) ([]corev1.EndpointSubset, bool) {
	var unpacked []corev1.EndpointSubset
	for _, pod := range slices.Sorted(maps.Keys(offers)) {
		offer := offers[pod]
		for i := range max(len(offer.Ports), 1) {
			subset := corev1.EndpointSubset{Addresses: []corev1.EndpointAddress{offer.Address}}
			if !offer.Ready {
				subset = corev1.EndpointSubset{NotReadyAddresses: subset.Addresses}
			}
			switch {
			case len(offer.Ports) > 0:
				subset.Ports = offer.Ports[i : i+1]
			case !offer.None:
				continue
			}
			unpacked = append(unpacked, subset)
		}
	}
	return Truncate(Repack(unpacked), limit)
}

// TestALedgerIsTheWhole has Services live for thousands of steps. A pod comes,
// changes or goes, and what the ledger shows is what Repack and Truncate make of
// all pods; two views are the same if what they show is.
func TestALedgerIsTheWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	seen := map[string]int{}
	for service := range 40 {
		ledger, offers, limit := NewLedger("shop"), map[string]*Offer{}, []int{6, 15, 30, 1000}[service%4]
		var before *View
		var shown []corev1.EndpointSubset
		for step := range 250 {
			n := r.IntN(40)
			pod, offer := fmt.Sprint("web-", n), randomOffer(r, n)
			switch {
			case r.IntN(4) == 0:
				offer = nil
			case service%8 == 3: // headless and without ports
				offer.None, offer.Ports = true, nil
			case service%8 == 5:
				offer.Ports = []corev1.EndpointPort{httpPort(int32(8000 + r.IntN(2)))}
			case r.IntN(3) == 0 && offers[pod] != nil: // only its readiness
				turned := *offers[pod]
				turned.Ready = !turned.Ready
				offer = &turned
			}
			if delete(offers, pod); offer != nil {
				offers[pod] = offer
			}
			if !ledger.Set(pod, offer) {
				t.Fatalf("Service %d, step %d: the ledger does not take %+v", service, step, offer)
			}
			want, truncated := wholeOf(offers, limit)
			view := ledger.View(limit)
			got := view.Subsets()
			if !reflect.DeepEqual(want, got) || view.Truncated != truncated {
				t.Fatalf("Service %d, step %d: truncated %t, want %t; subsets (-want +got):\n%s", service, step, view.Truncated, truncated, cmp.Diff(want, got))
			}
			if same := reflect.DeepEqual(shown, got); before != nil && view.Same(before) != same {
				t.Fatalf("Service %d, step %d: the view is the same: %t, want %t", service, step, view.Same(before), same)
			} else if same {
				seen["same"]++
			}
			if !reflect.DeepEqual(before.orNone().Subsets(), append([]corev1.EndpointSubset{}, shown...)) {
				t.Fatalf("Service %d, step %d: a view has changed afterwards", service, step)
			}
			seen[fmt.Sprint("subsets ", min(len(got), 4))]++
			if truncated {
				seen["truncated"]++
			}
			before, shown = view, got
		}
	}
	for _, what := range []string{"same", "truncated", "subsets 1", "subsets 2", "subsets 3", "subsets 4"} {
		if seen[what] < 100 {
			t.Errorf("%s: in %d steps only", what, seen[what])
		}
	}
}

func (v *View) orNone() *View {
	if v == nil {
		return &View{}
	}
	return v
}

func TestALedgerSaysWhatItCanNotHold(t *testing.T) {
	twin := func(n int, ready bool, ports ...corev1.EndpointPort) *Offer {
		offer := offerAt(1, ready, ports...)
		offer.Address.TargetRef.Name = fmt.Sprint("twin-", n)
		return offer
	}
	for title, tc := range map[string]struct {
		offers []*Offer
		want   bool
	}{
		"the same pod again":                   {[]*Offer{offerAt(1, true, httpPort(80)), nil, offerAt(1, false, httpPort(80))}, true},
		"an address and a UID twice":           {[]*Offer{twin(1, true, httpPort(80)), twin(2, true, httpPort(80))}, false},
		"the second is not ready":              {[]*Offer{twin(1, true, httpPort(80)), twin(2, false, httpPort(80))}, false},
		"the second has another port":          {[]*Offer{twin(1, true, httpPort(80)), twin(2, true, httpPort(81))}, false},
		"the second has no port and no matter": {[]*Offer{twin(1, true, httpPort(80)), twin(2, true)}, true},
	} {
		ledger, got := NewLedger("shop"), true
		for i, offer := range tc.offers {
			name := fmt.Sprint(i)
			if title == "the same pod again" {
				name = "web"
			}
			got = got && ledger.Set(name, offer)
		}
		if got != tc.want {
			t.Errorf("%s: taken %t, want %t", title, got, tc.want)
		}
	}
	ledger, taken := NewLedger("shop"), 0
	for taken <= manyClasses && ledger.Set(fmt.Sprint(taken), offerAt(taken, true, httpPort(int32(8000+taken)))) {
		taken++
	}
	if taken != manyClasses {
		t.Errorf("%d different ports are taken, want %d", taken, manyClasses)
	}
}

// TestAViewTellsThatSomethingIsLeftOut though it shows the same as before.
func TestAViewTellsThatSomethingIsLeftOut(t *testing.T) {
	ledger := NewLedger("shop")
	ledger.Set("a", offerAt(1, true, httpPort(80), httpPort(80)))
	all := ledger.View(1)
	ledger.Set("b", offerAt(2, true, httpPort(80)))
	part := ledger.View(1)
	if all.Truncated || !part.Truncated || part.Same(all) {
		t.Errorf("truncated %t and then %t, the same: %t", all.Truncated, part.Truncated, part.Same(all))
	}
	if diff := cmp.Diff(all.Subsets(), part.Subsets()); diff != "" {
		t.Errorf("a port that is there twice counts twice:\n%s", diff)
	}
	if all := ledger.View(9).Subsets(); len(all) != 1 || len(all[0].Addresses) != 2 {
		t.Errorf("%v, want two addresses", all)
	}
}

// TestAnAddressWithoutANodeNamesNone, as the API server refuses an empty name.
func TestAnAddressWithoutANodeNamesNone(t *testing.T) {
	offer := offerAt(1, true, httpPort(80))
	offer.Address.NodeName = nil
	ledger := NewLedger("shop")
	ledger.Set("a", offer)
	if node := ledger.View(1).Subsets()[0].Addresses[0].NodeName; node != nil {
		t.Errorf("node %q", *node)
	}
}

// BenchmarkOnePodOf5000 is one of 5,000 pods that turns ready or not ready.
func BenchmarkOnePodOf5000(b *testing.B) {
	const pods = 5000
	offers := map[string]*Offer{}
	ledger := NewLedger("shop")
	var before, after runtime.MemStats
	for i := range pods {
		offers[fmt.Sprint("web-", i)] = offerAt(i, true, httpPort(80))
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	for name, offer := range offers {
		ledger.Set(name, offer)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.Run("ledger", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			ledger.Set("web-2500", offerAt(2500, i%2 == 0, httpPort(80)))
			ledger.View(1000)
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/pods, "B/pod")
	})
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			offers["web-2500"].Ready = i%2 == 0
			wholeOf(offers, 1000)
		}
	})
}
