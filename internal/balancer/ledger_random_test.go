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
	"strconv"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
)

// server is an API server with Services and claims, which takes a write only of
// the version that it is meant for.
type server struct {
	t        *testing.T
	version  int
	services map[types.NamespacedName]*stored
	claims   map[netip.Addr]Record
	pools    []allocator.AddrPool
	// news are what watches tell, in order; nil is a Service that is gone.
	serviceNews []stored
	claimNews   []netip.Addr
}

type stored struct {
	Service
	sight Sight
	gone  bool
}

func (s *server) next() string { s.version++; return strconv.Itoa(s.version) }

func (s *server) put(service Service) {
	now := &stored{Service: service, sight: Sight{Key: service.Key, UID: service.UID}}
	if old := s.services[service.Key]; old != nil {
		now.sight = old.sight
	}
	now.sight.Version, now.sight.Served, now.sight.Deleting = s.next(), service.Served, service.Deleting
	s.keep(now)
}

func (s *server) keep(now *stored) {
	now.Status = now.sight.Addrs
	s.services[now.Key] = now
	s.serviceNews = append(s.serviceNews, *now)
}

func (s *server) remove(key types.NamespacedName) {
	gone := *s.services[key]
	delete(s.services, key)
	gone.sight.Version, gone.gone = s.next(), true
	s.serviceNews = append(s.serviceNews, gone)
}

// write is a status, and the whole point: nobody is given what another has.
func (s *server) write(step StatusStep) bool {
	old := s.services[step.Key]
	if old == nil || old.UID != step.UID || old.sight.Version != step.Version {
		return false
	}
	for key, other := range s.services {
		for _, addr := range step.Addrs {
			if key != step.Key && slices.Contains(other.sight.Addrs, addr) && (old.SharingKey == "" || other.SharingKey != old.SharingKey) {
				s.t.Errorf("%s is given %s, which %s has", step.Key, addr, key)
			}
		}
	}
	now := *old
	now.sight.Addrs, now.sight.Condition = step.Addrs, step.Condition
	if now.sight.Version = old.sight.Version; !slices.Equal(old.sight.Addrs, step.Addrs) || !sameCondition(old.sight.Condition, step.Condition) {
		now.sight.Version = s.next()
	}
	s.keep(&now)
	return true
}

func (s *server) claim(step ClaimStep) bool {
	if s.claims[step.Addr].Version != step.Version {
		return false
	}
	if delete(s.claims, step.Addr); step.Write != ClaimDelete {
		s.claims[step.Addr] = Record{Version: s.next(), Holders: step.Holders}
	}
	s.claimNews = append(s.claimNews, step.Addr)
	return true
}

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
		world.Claims = append(world.Claims, Claim{addr, record.Holders})
	}
	m.ledger.LoadClaims(m.api.claims)
	m.pools = m.api.pools
	m.ledger.Follow(Open(world))
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
	m.ledger.book.Settle()
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
	if len(step.Unproved) > 0 {
		m.ledger.DoubtClaim(step.Unproved[0], nil)
		m.read(m.ledger.NextClaim(step.Unproved[0]))
		return
	}
	m.ledger.DoubtService(step)
	m.statuses = append(m.statuses, step)
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
	default:
		if now := m.api.services[step.Key]; now != nil {
			m.observe(*now)
		} else if known, ok := m.known[step.Key]; ok {
			m.observe(stored{Service: known, gone: true})
		}
		m.ledger.book.Settle()
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
				lead := leads[random.IntN(len(leads))]
				switch n := random.IntN(100); {
				case n < 8:
					changeService(h, api)
				case n == 8:
					api.pools = smallPools(random)
				case n == 9 && len(leads) > 1, n == 10 && len(leads) > 2:
					leads = leads[1:] // killed, with writes on their way
				case n == 11 && len(leads) < 3:
					leads = append(leads, newManager(api, random))
				case n == 12:
					lead.lossy = !lead.lossy
				case n == 13:
					lead.paused = !lead.paused
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

func smallPools(random *rand.Rand) (pools []allocator.AddrPool) {
	for i := range 1 + random.IntN(2) {
		first := random.IntN(6)
		pools = append(pools, pool(fmt.Sprint("p", i), fmt.Sprintf("192.0.2.%d-192.0.2.%d 2001:db8::%x-2001:db8::%x", first, first+2, first, first+2)))
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
