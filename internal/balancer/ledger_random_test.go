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
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// manager is a process that may lag behind, whose writes take their time.
type manager struct {
	*rand.Rand
	api           *server
	ledger        *Ledger
	known         map[types.NamespacedName]Service
	serviceAt     int // how many of the news it has heard
	claimAt       int
	statuses      []StatusStep // on their way
	claims        []ClaimStep
	pools         []allocator.AddrPool
	lossy, paused bool
}

func newManager(api *server, random *rand.Rand) *manager {
	m := &manager{Rand: random, api: api, ledger: NewLedger(NewBook()), known: map[types.NamespacedName]Service{}}
	m.load()
	return m
}

func (m *manager) load() {
	world := World{Pools: m.api.pools}
	for key, known := range m.known {
		if m.api.services[key] == nil || m.api.services[key].UID != known.UID {
			m.ledger.GoneService(key, known.UID)
		}
	}
	clear(m.known)
	for key, now := range m.api.services {
		m.ledger.SawService(now.sight)
		m.known[key] = now.Service
		world.Services = append(world.Services, now.Service)
	}
	for addr, record := range m.api.claims {
		world.Claims = append(world.Claims, Claim{Addr: addr, Holders: record.Holders})
	}
	m.ledger.LoadClaims(m.api.claims)
	m.pools = m.api.pools
	m.ledger.Follow(Open(world))
	m.settle()
}

func (m *manager) settle() {
	m.ledger.Freed()
	m.ledger.book.Settle()
}

// hear takes in the next thing that a watch tells.
func (m *manager) hear() {
	switch n := m.IntN(3); {
	case n == 0 && m.claimAt < len(m.api.claimNews):
		addr := m.api.claimNews[m.claimAt]
		m.ledger.Noticed(addr, m.api.claims[addr])
		m.claimAt++
	case n == 1:
		m.pools = m.api.pools
		m.ledger.book.SetPools(m.pools)
	case m.serviceAt < len(m.api.serviceNews):
		m.observe(m.api.serviceNews[m.serviceAt])
		m.serviceAt++
	}
	m.settle()
}

func (m *manager) observe(now stored) {
	if now.gone {
		if m.known[now.Key].UID == now.UID {
			m.ledger.GoneService(now.Key, now.UID)
			m.ledger.book.Forget(now.Key)
			delete(m.known, now.Key)
		}
		return
	}
	if m.ledger.SawService(now.sight) {
		m.known[now.Key] = now.Service
		m.ledger.book.Observe(now.Service)
	}
}

// begin sends a write.
func (m *manager) begin(addrs []netip.Addr) {
	if addr := addrs[m.IntN(len(addrs))]; m.IntN(2) == 0 {
		busy := slices.ContainsFunc(m.claims, func(s ClaimStep) bool { return s.Addr == addr })
		if step := m.ledger.NextClaim(addr); step.Write != ClaimIsRight && !busy {
			m.claims = append(m.claims, step)
		}
		return
	}
	keys := slices.SortedFunc(maps.Keys(m.known), func(a, b types.NamespacedName) int { return slices.Compare([]byte(a.String()), []byte(b.String())) })
	if len(keys) == 0 {
		return
	}
	key := keys[m.IntN(len(keys))]
	busy := slices.ContainsFunc(m.statuses, func(s StatusStep) bool { return s.Key == key })
	step, needed := m.ledger.NextStatus(key)
	if !needed || busy {
		return
	}
	if step.Look {
		m.look(step)
		return
	}
	if len(step.Unproved) > 0 {
		m.ledger.DoubtClaim(step.Unproved[0], nil)
		m.read(m.ledger.NextClaim(step.Unproved[0]))
		return
	}
	m.ledger.DoubtService(step)
	m.statuses = append(m.statuses, step)
}

// look reads a Service that is not ours.
func (m *manager) look(step StatusStep) {
	if now := m.api.services[step.Key]; now == nil {
		m.ledger.GoneService(step.Key, step.UID)
	} else {
		m.observe(*now)
		m.ledger.LookedAt(step)
	}
	m.settle()
}

func (m *manager) read(step ClaimStep) {
	if m.ledger.SawClaim(step, m.api.claims[step.Addr]) && !m.lossy {
		m.load()
	}
}

// end is when a write arrives, and its answer comes back or does not.
func (m *manager) end() {
	lose := m.lossy && m.IntN(4) == 0
	if len(m.claims) > 0 && (m.IntN(2) == 0 || len(m.statuses) == 0) {
		i := m.IntN(len(m.claims))
		step := m.claims[i]
		m.claims = slices.Delete(m.claims, i, i+1)
		if step.Write == ClaimRead {
			m.read(step)
			return
		}
		made := m.IntN(5) > 0 || !lose
		made = made && m.api.claim(step)
		switch {
		case lose:
			m.ledger.DoubtClaim(step.Addr, append([]Holder{}, step.Holders...))
		case made:
			m.ledger.WroteClaim(step, m.api.claims[step.Addr].Version)
		default:
			m.ledger.DoubtClaim(step.Addr, nil)
		}
		m.settle()
		return
	}
	if len(m.statuses) == 0 {
		return
	}
	i := m.IntN(len(m.statuses))
	step := m.statuses[i]
	m.statuses = slices.Delete(m.statuses, i, i+1)
	made := (m.IntN(5) > 0 || !lose) && m.api.write(step)
	switch {
	case lose: // it stays in doubt
	case made:
		m.ledger.WroteService(step, m.api.services[step.Key].sight)
		m.settle()
	default:
		if now := m.api.services[step.Key]; now != nil {
			m.observe(*now)
		} else if known, ok := m.known[step.Key]; ok {
			m.observe(stored{Service: known, gone: true})
		}
		m.settle()
	}
}

// TestManagersNeverGiveAnAddressTwice has managers that lag, lose answers, end in
// the middle and lead at once, and in the end one that has its way.
func TestManagersNeverGiveAnAddressTwice(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			h := &history{Rand: random, services: map[types.NamespacedName]Service{}}
			api := &server{t: t, services: map[types.NamespacedName]*stored{}, claims: map[netip.Addr]Record{}}
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
				case n < 20:
					leads = strike(leads, lead, random, api)
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
// time when what it gives becomes that of other Services.
func strike(leads []*manager, lead *manager, random *rand.Rand, api *server) []*manager {
	if len(leads) < 2 {
		return append(leads, newManager(api, random))
	}
	i := slices.IndexFunc(lead.statuses, api.wouldAdd)
	if i < 0 {
		return leads
	}
	api.late = append(api.late, lead.statuses...)
	half := "0"
	if api.services[lead.statuses[i].Key].Labels["half"] == half {
		half = "1"
	}
	api.pools = []allocator.AddrPool{pool("p", lead.statuses[i].Addrs[0].String(), forServices("half", half))}
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
	for range 3000 {
		lead.hear()
		lead.begin(addrs)
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
