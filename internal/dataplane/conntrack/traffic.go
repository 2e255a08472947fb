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

package conntrack

import (
	"context"
	"fmt"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

// Usage is what the connections to one destination that are tracked at the
// moment have carried so far, in both directions.
type Usage struct {
	Connections    uint64
	Packets, Bytes uint64
}

// Usages are the Usage of every destination that has connections.
type Usages struct {
	ByDestination map[Destination]Usage
	// Counted is true if the kernel counts packets and bytes (sysctl
	// net.netfilter.nf_conntrack_acct) of any of the connections; those made
	// before it was switched on stay at 0.
	Counted bool
}

// Traffic reads what flows to the given destinations, in the network namespace
// of the calling thread: one walk through the translated connections of each IP
// family that is asked for. Connections to other destinations are passed over,
// so the answer is not larger than the question.
func Traffic(ctx context.Context, to []Destination) (Usages, error) {
	conn, err := nfnl.Dial()
	if err != nil {
		return Usages{}, fmt.Errorf("conntrack: %w", err)
	}
	defer func() { _ = conn.Close() }()
	return traffic(ctx, conn, to)
}

func traffic(ctx context.Context, conn *nfnl.Conn, to []Destination) (Usages, error) {
	t := newTally(to)
	for family := range t.families {
		if err := ctx.Err(); err != nil {
			return Usages{}, err
		}
		if err := t.walk(conn, family); err != nil {
			return Usages{}, fmt.Errorf("conntrack: reading %s connections: %w", family, err)
		}
	}
	return t.usages(), nil
}

// tally adds up connections.
type tally struct {
	families map[model.Family]bool
	sums     map[Destination]*Usage
	counted  bool
}

func newTally(to []Destination) *tally {
	t := &tally{families: map[model.Family]bool{}, sums: make(map[Destination]*Usage, len(to))}
	for _, d := range to {
		t.families[model.FamilyOf(d.Addr.Addr())] = true
		t.sums[d] = &Usage{}
	}
	return t
}

func (t *tally) walk(conn *nfnl.Conn, family model.Family) error {
	var list nfnl.Messages
	list.Begin(getEntry, 0, familyNumber(family), "listing entries")
	filter{statusMask: statusTranslated, status: statusTranslated}.append(&list)
	return conn.Dump(&list, func() { t.forget(family) }, func(_ uint8, a nfnl.Attributes) {
		t.add(parseEntry(a), parseCounters(a))
	})
}

// forget begins anew for a family whose list changed while it was read.
func (t *tally) forget(family model.Family) {
	for d, sum := range t.sums {
		if model.FamilyOf(d.Addr.Addr()) == family {
			*sum = Usage{}
		}
	}
}

func (t *tally) add(e entry, c counters) {
	sum := t.sums[e.sentTo]
	if sum == nil || !e.translated() {
		return
	}
	t.counted = t.counted || c.counted
	sum.Connections++
	sum.Packets += c.packets
	sum.Bytes += c.bytes
}

func (t *tally) usages() Usages {
	all := Usages{ByDestination: map[Destination]Usage{}, Counted: t.counted}
	for d, sum := range t.sums {
		if sum.Connections > 0 {
			all.ByDestination[d] = *sum
		}
	}
	return all
}

// counters are of both directions together.
type counters struct {
	counted        bool
	packets, bytes uint64
}

func parseCounters(a nfnl.Attributes) counters {
	var c counters
	for _, direction := range []uint16{ctaCountersOriginal, ctaCountersReply} {
		counts := a.Nested(direction)
		c.counted = c.counted || counts != nil
		c.packets += counts.Uint64(ctaCountersPackets)
		c.bytes += counts.Uint64(ctaCountersBytes)
	}
	return c
}
