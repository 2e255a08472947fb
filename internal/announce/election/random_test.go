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
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/announce"
)

// Whatever happens, there is never more than one owner; once it has stopped
// happening, each address has one, which may have it, and nobody else answers.
func TestAnyFaults(t *testing.T) {
	seeds := 100
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, uint64(seed), 2+seed%5, 1+seed%3)
			for range 40 {
				w.fault()
				w.run(time.Duration(w.random.IntN(4000)) * time.Millisecond)
			}
			w.heal()
			w.run(30 * time.Second)
			w.settled()
		})
	}
}

func (w *world) fault() {
	n := w.nodes[w.random.IntN(len(w.nodes))]
	switch w.random.IntN(9) {
	case 0, 1:
		n.cutOff = !n.cutOff
		w.note("%s cut off: %v", n.name, n.cutOff)
	case 2:
		n.deaf = !n.deaf
		w.note("%s deaf: %v", n.name, n.deaf)
	case 3, 4:
		if n.elector != nil {
			w.note("%s is killed", n.name)
			n.elector = nil
			break
		}
		fallthrough
	case 5:
		if !n.cutOff { // a process that has not listed does nothing
			w.note("%s starts anew", n.name)
			w.start(n)
		}
	case 6:
		n.standing = announce.Standing(w.random.IntN(3))
		w.note("%s is %v", n.name, n.standing)
		if n.elector != nil {
			n.elector.SetStanding(n.standing)
		}
	case 7:
		addr := w.anAddress()
		w.place(addr)
	case 8: // the manager writes an annotation
		addr := w.anAddress()
		c := w.claims[addr]
		w.version++
		c.Version = w.version
		w.claims[addr] = c
		w.publishClaim(c)
	}
}

func (w *world) anAddress() netip.Addr {
	return netip.AddrFrom4([4]byte{192, 0, 2, byte(w.random.IntN(len(w.claims)))})
}

// place moves the endpoints of a Service.
func (w *world) place(addr netip.Addr) {
	s := announce.Service{Local: w.random.IntN(3) > 0, Nodes: map[string]struct{}{}}
	for _, n := range w.nodes {
		if w.random.IntN(2) == 0 {
			s.Nodes[n.name] = struct{}{}
		}
	}
	w.places[addr] = []announce.Service{s}
	w.note("%s is at %v", addr, s)
	w.publish(func(n *node) { n.elector.SetPlace(addr, announce.PlaceOf(w.places[addr])) })
}

func (w *world) heal() {
	w.note("all is well")
	w.calm = true
	for _, n := range w.nodes {
		n.cutOff, n.deaf = false, false
		if n.elector == nil {
			w.start(n)
		}
	}
}

func (w *world) settled() {
	w.Helper()
	var nodes []announce.Node
	for _, n := range w.nodes {
		nodes = append(nodes, announce.Node{Name: n.name, Standing: n.standing})
	}
	for addr := range w.claims {
		may := announce.Candidates(addr, announce.PlaceOf(w.places[addr]), nodes)
		owners, answering := w.owners(addr), w.answering(addr)
		switch {
		case len(may) == 0 && len(answering) > 0:
			w.fail("%s is answered by %v, and nobody may", addr, answering)
		case len(may) == 0:
		case len(owners) != 1 || !slices.Contains(may, owners[0]) || !slices.Equal(owners, answering):
			w.fail("%s is owned by %v and answered by %v, want it from one of %v", addr, owners, answering, may)
		}
	}
}
