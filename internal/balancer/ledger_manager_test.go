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
	"cmp"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
)

// manager is a process that may lag behind, whose writes take their time.
type manager struct {
	*rand.Rand
	api           *server
	ledger        *Ledger
	known         map[types.NamespacedName]Service
	serviceAt     int // how many of the news it has heard
	claimAt       int
	statuses      []statusCall // on their way
	claims        []claimCall
	pools         []allocator.AddrPool
	lossy, paused bool
	deaf          [kindsOfNews]bool
	stuck         int // turns for which it writes nothing
}

// What a manager hears of.
const (
	ofClaims = iota
	ofPools
	ofServices
	kindsOfNews
)

// claimCall is a read or a write of a claim. It arrives, and later its answer does.
type claimCall struct {
	ClaimStep
	arrived, made bool
	found         Record // by a read
	version       string // of what was written
}

// statusCall is the same of a status.
type statusCall struct {
	StatusStep
	arrived, made bool
	wrote         Sight
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
	m.serviceAt, m.claimAt = len(m.api.serviceNews), len(m.api.claimNews)
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
	switch n := m.IntN(kindsOfNews); {
	case m.deaf[n]:
	case n == ofClaims && m.claimAt < len(m.api.claimNews):
		news := m.api.claimNews[m.claimAt]
		m.ledger.Noticed(news.addr, news.Record)
		m.claimAt++
	case n == ofPools:
		m.pools = m.api.pools
		m.ledger.book.SetPools(m.pools)
	case n == ofServices && m.serviceAt < len(m.api.serviceNews):
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

// begin sends one of the writes that are due.
func (m *manager) begin(addrs []netip.Addr) {
	var due []func()
	for _, addr := range addrs {
		busy := slices.ContainsFunc(m.claims, func(c claimCall) bool { return c.Addr == addr })
		if step := m.ledger.NextClaim(addr); step.Write != ClaimIsRight && !busy {
			due = append(due, func() { m.claims = append(m.claims, claimCall{ClaimStep: step}) })
		}
	}
	keys := slices.SortedFunc(maps.Keys(m.known), func(a, b types.NamespacedName) int { return cmp.Compare(a.Name, b.Name) })
	for _, key := range keys {
		busy := slices.ContainsFunc(m.statuses, func(c statusCall) bool { return c.Key == key })
		if step, needed := m.ledger.NextStatus(key); needed && !busy {
			due = append(due, func() { m.beginStatus(step) })
		}
	}
	if len(due) > 0 {
		due[m.IntN(len(due))]()
	}
}

func (m *manager) beginStatus(step StatusStep) {
	if step.Look {
		m.look(step)
		return
	}
	if len(step.Unproved) > 0 {
		if proof := m.ledger.ProveClaim(step.Unproved[0]); proof.Write == ClaimRead {
			m.claims = append(m.claims, claimCall{ClaimStep: proof})
		}
		return
	}
	m.ledger.DoubtService(step)
	m.statuses = append(m.statuses, statusCall{StatusStep: step})
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

// end is when a call arrives, or its answer comes back or does not.
func (m *manager) end() {
	lost := m.lossy && m.IntN(4) == 0
	switch n := len(m.claims); {
	case n > 0 && (m.IntN(2) == 0 || len(m.statuses) == 0):
		i := m.IntN(n)
		if call := m.claims[i]; m.claimEnds(&call, lost) {
			m.claims = slices.Delete(m.claims, i, i+1)
			m.answerClaim(call, lost)
			m.settle()
		} else {
			m.claims[i] = call
		}
	case len(m.statuses) > 0:
		i := m.IntN(len(m.statuses))
		if call := m.statuses[i]; m.statusEnds(&call, lost) {
			m.statuses = slices.Delete(m.statuses, i, i+1)
			m.answerStatus(call, lost)
			m.settle()
		} else {
			m.statuses[i] = call
		}
	}
}

// claimEnds lets a call arrive, and reports whether that is the end of it.
func (m *manager) claimEnds(call *claimCall, lost bool) bool {
	if call.arrived || lost && m.IntN(5) == 0 {
		return true
	}
	if call.arrived = true; call.Write == ClaimRead {
		call.found = m.api.claims[call.Addr]
	} else if call.made = m.api.claim(call.ClaimStep); call.made {
		call.version = m.api.claims[call.Addr].Version
	}
	return m.IntN(2) == 0
}

func (m *manager) answerClaim(call claimCall, lost bool) {
	switch {
	case lost && call.Write == ClaimRead:
	case lost:
		m.ledger.DoubtClaim(call.Addr, append([]Holder{}, call.Holders...))
	case call.Write == ClaimRead:
		if m.ledger.SawClaim(call.ClaimStep, call.found) && !m.lossy {
			m.load()
		}
	case call.made:
		m.ledger.WroteClaim(call.ClaimStep, call.version)
	default:
		m.ledger.DoubtClaim(call.Addr, nil)
	}
}

func (m *manager) statusEnds(call *statusCall, lost bool) bool {
	if call.arrived || lost && m.IntN(5) == 0 {
		return true
	}
	call.arrived = true
	if call.made = m.api.write(call.StatusStep); call.made {
		call.wrote = m.api.services[call.Key].sight
	}
	return m.IntN(2) == 0
}

func (m *manager) answerStatus(call statusCall, lost bool) {
	known, isKnown := m.known[call.Key]
	switch now := m.api.services[call.Key]; {
	case lost: // it stays in doubt
	case call.made:
		m.ledger.WroteService(call.StatusStep, call.wrote)
	case now != nil:
		m.observe(*now)
	case isKnown:
		m.observe(stored{Service: known, gone: true})
	}
}

// underWay are the statuses that have not arrived.
func (m *manager) underWay() []StatusStep {
	var steps []StatusStep
	for _, call := range m.statuses {
		if !call.arrived {
			steps = append(steps, call.StatusStep)
		}
	}
	return steps
}
