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

package election

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/announce"
)

// world is an API server, a network and nodes, in simulated time. Every message
// is late by a random time; what is cut off or dead gets none.
type world struct {
	*testing.T
	random *rand.Rand
	now    time.Duration
	queue  events
	// The API server.
	version uint64
	claims  map[netip.Addr]Claim
	records map[string]Record
	nodes   []*node
	places  map[netip.Addr][]announce.Service
	calm    bool
	log     []string
}

type node struct {
	name string
	// rate is how fast its clock runs.
	rate     float64
	elector  *Elector // nil when it is dead
	life     int      // counts its processes
	standing announce.Standing
	// cutOff has no API server, deaf no network.
	cutOff, deaf bool
	// lastEvent keeps the watch in order.
	lastEvent time.Duration
	// recorded says that its record may say that it is there.
	renewing, recorded bool
}

type event struct {
	at  time.Duration
	seq int
	do  func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) } //nolint:forcetypeassert // container/heap's
func (q *events) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

var sequence int

func (w *world) after(d time.Duration, do func()) {
	sequence++
	heap.Push(&w.queue, event{w.now + d, sequence, do})
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%7.3f ", w.now.Seconds())+fmt.Sprintf(format, args...))
}

// delay is mostly short, and always when all is well.
func (w *world) delay() time.Duration {
	if !w.calm && w.random.IntN(20) == 0 {
		return time.Duration(w.random.IntN(3000)) * time.Millisecond
	}
	return time.Duration(1+w.random.IntN(20)) * time.Millisecond
}

// clock is the node's own.
func (w *world) clock(n *node) time.Time {
	return time.Unix(0, 0).Add(time.Duration(float64(w.now) * n.rate))
}

func newWorld(t *testing.T, seed uint64, nodes, addresses int) *world {
	w := &world{
		T: t, random: rand.New(rand.NewPCG(seed, 1)), version: 1,
		claims: map[netip.Addr]Claim{}, records: map[string]Record{}, places: map[netip.Addr][]announce.Service{},
	}
	for i := range addresses {
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		w.version++
		w.claims[addr] = Claim{Addr: addr, Version: w.version}
		w.places[addr] = []announce.Service{{}}
	}
	for i := range nodes {
		n := &node{name: fmt.Sprintf("node-%d", i), rate: 0.9 + 0.2*w.random.Float64(), standing: announce.Fit}
		w.nodes = append(w.nodes, n)
		w.start(n)
	}
	return w
}

// start begins a new process, which has listed everything.
func (w *world) start(n *node) {
	n.life++
	n.elector = New(n.name)
	n.elector.SetStanding(n.standing)
	for addr, c := range w.claims {
		n.elector.SetClaim(w.clock(n), c)
		n.elector.SetPlace(addr, announce.PlaceOf(w.places[addr]))
	}
	for _, r := range w.records {
		n.elector.SetRecord(w.clock(n), r)
	}
	n.renewing, n.recorded = false, false
	w.tick(n, n.life)
	w.renew(n, n.life)
}

func (w *world) alive(n *node, life int) bool { return n.elector != nil && n.life == life }

func (w *world) tick(n *node, life int) {
	if !w.alive(n, life) {
		return
	}
	w.step(n)
	w.after(50*time.Millisecond, func() { w.tick(n, life) })
}

func (w *world) step(n *node) {
	for _, write := range n.elector.Next(w.clock(n)) {
		w.send(n, write)
	}
}

func (w *world) renew(n *node, life int) {
	if !w.alive(n, life) {
		return
	}
	w.after(Renew, func() { w.renew(n, life) })
	speaking := n.elector.Speaking(w.clock(n))
	if n.cutOff || n.renewing || !speaking && !n.recorded {
		return
	}
	sent, standing := w.clock(n), n.elector.Standing()
	n.renewing, n.recorded = true, true
	if !speaking {
		n.elector.Quit()
	}
	w.after(w.delay(), func() { // arrives
		if !n.cutOff {
			w.version++
			w.records[n.name] = Record{Node: n.name, Version: w.version, Standing: standing, Gone: !speaking}
			w.publishRecord(w.records[n.name])
		}
		w.after(w.delay(), func() {
			if w.alive(n, life) {
				n.renewing = false
				switch {
				case n.cutOff:
				case speaking:
					n.elector.Renewed(w.clock(n), sent)
				default:
					n.recorded = false
				}
			}
		})
	})
}

// send makes a write, as the driver does: the suspect is read first.
func (w *world) send(n *node, write Write) {
	life := n.life
	result := func(o Outcome, version uint64) {
		w.after(w.delay(), func() {
			if !w.alive(n, life) {
				return
			}
			if n.cutOff {
				o = Unknown
			}
			if n.elector.Wrote(w.clock(n), write, o, version) {
				w.announce(n, life, write.Addr, 5)
			}
			if o == Refused {
				n.elector.SetClaim(w.clock(n), w.claims[write.Addr])
			}
		})
	}
	commit := func() {
		c := w.claims[write.Addr]
		switch {
		case n.cutOff:
			result(Unknown, 0)
		case c.Version != write.Version:
			result(Refused, 0)
		default:
			w.version++
			w.claims[write.Addr] = Claim{write.Addr, w.version, write.Holder, write.Term}
			w.note("%s: %s %s -> %q", n.name, write.Kind, write.Addr, write.Holder)
			w.publishClaim(w.claims[write.Addr])
			result(Written, w.version)
		}
	}
	w.after(w.delay(), func() {
		if write.Suspect.Node == "" {
			commit()
			return
		}
		live := w.records[write.Suspect.Node]
		switch {
		case n.cutOff:
			result(Unknown, 0)
		case live.Version != write.Suspect.Version:
			w.after(w.delay(), func() {
				if w.alive(n, life) {
					n.elector.SetRecord(w.clock(n), live)
				}
			})
			result(Refused, 0)
		default:
			w.after(w.delay(), commit)
		}
	})
}

// publish brings a change to all, to each in order; who is cut off gets it later.
func (w *world) publish(take func(*node)) {
	for _, n := range w.nodes {
		at := max(n.lastEvent, w.now+w.delay())
		n.lastEvent = at
		w.deliver(n, n.life, at-w.now, take)
	}
}

func (w *world) deliver(n *node, life int, in time.Duration, take func(*node)) {
	w.after(in, func() {
		switch {
		case !w.alive(n, life): // a new one lists
		case n.cutOff:
			w.deliver(n, life, 100*time.Millisecond, take)
		default:
			take(n)
			w.step(n)
		}
	})
}

func (w *world) publishRecord(r Record) {
	w.publish(func(n *node) { n.elector.SetRecord(w.clock(n), r) })
}

func (w *world) publishClaim(c Claim) {
	w.publish(func(n *node) { n.elector.SetClaim(w.clock(n), c) })
}

// announce is heard by most.
func (w *world) announce(from *node, life int, addr netip.Addr, times int) {
	if !w.alive(from, life) || times == 0 || !from.elector.Owns(w.clock(from), addr) {
		return
	}
	for _, n := range w.nodes {
		if n != from && n.elector != nil && !n.deaf && !from.deaf && w.random.IntN(10) > 0 {
			n.elector.Heard(w.clock(n), addr)
			w.step(n)
		}
	}
	w.after(500*time.Millisecond, func() { w.announce(from, life, addr, times-1) })
}

// run lets time pass and looks at each moment for two owners.
func (w *world) run(d time.Duration) {
	w.Helper()
	for until := w.now + d; len(w.queue) > 0 && w.queue[0].at <= until; {
		e := heap.Pop(&w.queue).(event) //nolint:forcetypeassert // its own
		w.now = e.at
		e.do()
		for addr := range w.claims {
			if owners := w.owners(addr); len(owners) > 1 {
				w.fail("%s has two owners, %v", addr, owners)
			}
		}
	}
}

func (w *world) fail(format string, args ...any) {
	w.Helper()
	for _, line := range w.log[max(0, len(w.log)-60):] {
		w.Log(line)
	}
	w.Fatalf(format, args...)
}

func (w *world) owners(addr netip.Addr) (names []string) {
	for _, n := range w.nodes {
		if n.elector != nil && n.elector.Owns(w.clock(n), addr) {
			names = append(names, n.name)
		}
	}
	return names
}

func (w *world) answering(addr netip.Addr) (names []string) {
	for _, n := range w.nodes {
		if n.elector == nil {
			continue
		}
		for _, a := range n.elector.Answering() {
			if a == addr {
				names = append(names, n.name)
			}
		}
	}
	return names
}
