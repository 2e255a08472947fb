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

package chaos

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

// repairBound is many times what a repair takes: up to 150 ms on two cores at
// work. The promise, a second, is for the printed figures: a machine of tests
// may stall.
const repairBound = 5 * time.Second

// The agent repairs the first five changes at once. Who comes after that is
// served at once; who met the gap, when the kernel has forgotten that it let him
// through, which the log tells as "after more" retransmissions.
func TestAForeignChangeIsRepairedAtOnce(t *testing.T) {
	b := newBed(t)
	b.startAgent(unprotected)
	b.awaitSync()
	want := b.tables()
	lastOf := b.transactions()
	toll, stop := b.traffic()
	for _, script := range foreign[:5] {
		start := time.Now()
		if what := b.tamper(script); what != carriedOut {
			b.Fatalf("%q was %s", script, what)
		}
		b.await("all is as it was after "+script, func() bool {
			tables, err := b.list()
			return err == nil && cmp.Equal(tables, want)
		})
		// From before nft began until the agent's last transaction.
		took := lastOf("switchyard-node").Sub(start)
		b.Logf("%s after the start of %q all was repaired", took, script)
		if took > repairBound {
			b.Errorf("the repair after %q took %s, more than %s", script, took, repairBound)
		}
		for _, way := range b.ways() {
			after := newToll()
			b.in(way.from, func() error { after.open(way); return nil })
			if after.opened.Load() != 1 || after.retransmitted.Load()+after.lost.Load() > 0 {
				b.Errorf("%s is not served after the repair: %s %q", way.name, after, after.examples(&after.failed, &after.refused, &after.broken))
			}
		}
	}
	stop()
	b.Log(toll)
	if toll.failed.Load() > 0 {
		b.Errorf("attempts failed: %q", toll.examples(&toll.failed))
	}
	b.settled(unprotected)
}

// transactions follows those of the node's tables. lastOf is when a program's
// last one was told of, the zero time if there was none.
func (b *bed) transactions() (lastOf func(program string) time.Time) {
	b.Helper()
	var listener *nfnl.Listener
	b.in(b.node, func() (err error) {
		listener, err = nfnl.Listen(unix.NFNLGRP_NFTABLES, nil)
		return err
	})
	var mu sync.Mutex
	last := map[string]time.Time{}
	handle := func(kind uint16, _ uint8, a nfnl.Attributes) {
		if kind == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN {
			mu.Lock()
			defer mu.Unlock()
			last[a.String(unix.NFTA_GEN_PROC_NAME)] = time.Now()
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := listener.Receive(ctx, handle); err != nil && !errors.Is(err, nfnl.ErrOverrun) && ctx.Err() == nil {
				b.Errorf("following transactions: %v", err)
				return
			}
		}
	}()
	b.Cleanup(func() { cancel(); <-done })
	return func(program string) time.Time {
		mu.Lock()
		defer mu.Unlock()
		return last[program]
	}
}
