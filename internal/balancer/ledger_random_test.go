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
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// TestManagersNeverGiveAnAddressTwice has managers that lag, lose answers, end in
// the middle and lead at once, and in the end one that has its way.
func TestManagersNeverGiveAnAddressTwice(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			h := &history{Rand: random, services: map[types.NamespacedName]Service{}}
			api := &server{t: t, services: map[types.NamespacedName]*stored{}, claims: map[netip.Addr]Record{}, gifts: map[gift]*gifted{}}
			var addrs []netip.Addr
			for i := range 8 {
				addrs = append(addrs, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i)))
			}
			api.pools = smallPools(random)
			leads := []*manager{newManager(api, random)}
			for step := 0; step < 1500 && !t.Failed(); step++ {
				api.deliver()
				lead := leads[random.IntN(len(leads))]
				switch n := random.IntN(100); {
				case n < 8:
					changeService(h, api)
				case n == 8:
					api.pools = smallPools(random)
				case n == 9, n == 10, n == 11:
					leads = changeLeads(leads, random, api)
				case n == 12:
					lead.lossy = !lead.lossy
				case n == 13:
					lead.paused = !lead.paused
				case n == 14:
					lead.deaf[random.IntN(kindsOfNews)] = random.IntN(3) == 0
				case n < 20:
					leads = strike(leads, lead, random, api)
				case lead.stuck > 0 && n >= 40:
					lead.stuck--
				case lead.paused && n < 60:
				case n < 40:
					lead.hear()
				case n < 70:
					lead.begin(addrs)
				default:
					lead.end()
				}
			}
			settleAll(t, api, random, addrs)
		})
	}
}

// changeLeads has one killed, with writes on their way, or another begin.
func changeLeads(leads []*manager, random *rand.Rand, api *server) []*manager {
	switch n := random.IntN(3); {
	case n == 0 && len(leads) > 1, n == 1 && len(leads) > 2:
		return leads[1:]
	case len(leads) < 3:
		return append(leads, newManager(api, random))
	}
	return leads
}

// strike ends a manager while its writes are on their way and another leads, at a
// time when what it gives becomes that of other Services, or what it takes is to stay.
// Or it has the manager stop for a while, and hear no more of claims.
func strike(leads []*manager, lead *manager, random *rand.Rand, api *server) []*manager {
	if len(leads) < 2 {
		return append(leads, newManager(api, random))
	}
	late := lead.underWay()
	changes := func(step StatusStep) bool { return api.wouldAdd(step) || len(api.wouldTake(step)) > 0 }
	i := slices.IndexFunc(late, changes)
	if i < 0 {
		return leads
	}
	half, other := api.services[late[i].Key].Labels["half"], map[string]string{"0": "1", "1": "0"}
	if taken := api.wouldTake(late[i]); len(taken) > 0 { // it is to keep that after all
		api.pools = []allocator.AddrPool{pool("p", taken[0].String(), forServices("half", half))}
	} else {
		api.pools = []allocator.AddrPool{pool("p", late[i].Addrs[0].String(), forServices("half", other[half]))}
	}
	if random.IntN(2) == 0 {
		lead.deaf, lead.stuck = [kindsOfNews]bool{ofClaims: true, ofPools: random.IntN(2) == 0}, 20+random.IntN(60)
		return leads
	}
	api.late = append(api.late, late...)
	return slices.DeleteFunc(leads, func(m *manager) bool { return m == lead })
}

// smallPools are for all Services, or for half of them.
func smallPools(random *rand.Rand) (pools []allocator.AddrPool) {
	for i := range 1 + random.IntN(2) {
		first := random.IntN(6)
		var edits []func(*v1alpha1.AddressPool)
		if half := random.IntN(4); half < 2 {
			edits = append(edits, forServices("half", fmt.Sprint(half)))
		}
		pools = append(pools, pool(fmt.Sprint("p", i), fmt.Sprintf("192.0.2.%d-192.0.2.%d 2001:db8::%x-2001:db8::%x", first, first+2, first, first+2), edits...))
	}
	return pools
}

// changeService makes one, changes what it asks for, or deletes it.
func changeService(h *history, api *server) {
	key := types.NamespacedName{Namespace: "default", Name: string(rune('a' + h.IntN(7)))}
	old := api.services[key]
	switch n := h.IntN(6); {
	case old == nil:
		h.births++
		made := svc(key.Name)
		made.UID = types.UID(fmt.Sprint(h.births))
		made.Labels["half"] = fmt.Sprint(h.births % 2)
		if h.IntN(3) == 0 {
			sharing("k", int32(80+h.births))(&made)
		}
		if h.IntN(3) == 0 {
			[]edit{prefer, require, ipv6}[h.IntN(3)](&made)
		}
		api.put(made)
	case n == 0:
		api.remove(key)
	case n == 1:
		changed := old.Service
		changed.Served = !changed.Served
		api.put(changed)
	default:
		changed := old.Service
		changed.Wish.Addrs = nil
		if n < 4 {
			wish(fmt.Sprintf("192.0.2.%d", h.IntN(8)))(&changed)
		}
		api.put(changed)
	}
}

// settleAll lets a new manager work undisturbed: what it has decided is written.
func settleAll(t *testing.T, api *server, random *rand.Rand, addrs []netip.Addr) {
	lead := newManager(api, random)
	for range 800 {
		lead.hear()
		lead.begin(addrs)
		lead.end()
		lead.end()
	}
	for key, now := range api.services {
		d, decided := lead.ledger.book.Decision(key)
		if decided != now.Served || !slices.Equal(d.Addrs, now.sight.Addrs) {
			t.Errorf("%s has %v in its status and is to have %v (served: %t)", key, now.sight.Addrs, d.Addrs, now.Served)
		}
		if now.Served && (now.sight.Condition == nil || (now.sight.Condition.Status == metav1.ConditionTrue) != d.Satisfied) {
			t.Errorf("%s: the condition is %v, and is to be %+v", key, now.sight.Condition, d)
		}
	}
	recorded := map[netip.Addr][]Holder{}
	for addr, record := range api.claims {
		recorded[addr] = record.Holders
	}
	for _, claim := range lead.ledger.book.Claims() {
		if !slices.Equal(recorded[claim.Addr], claim.Holders) {
			t.Errorf("%s is recorded for %v, and is to be for %v", claim.Addr, recorded[claim.Addr], claim.Holders)
		}
		delete(recorded, claim.Addr)
	}
	if len(recorded) > 0 {
		t.Errorf("claims of nobody are left: %v", recorded)
	}
}
