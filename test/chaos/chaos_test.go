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
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// under runs a disturbance for as long as -each says, again and again, while
// endpoints change and clients connect.
func (b *bed) under(disturb func()) *toll {
	b.Helper()
	toll, stopTraffic := b.traffic()
	stopChurn := b.churn()
	times := 0
	for end := time.Now().Add(*each); time.Now().Before(end); times++ {
		disturb()
	}
	stopChurn()
	stopTraffic()
	b.Logf("%d disturbances; %s", times, toll)
	return toll
}

// nothingLost is the rule: no attempt fails, none needs more than one SYN or two
// datagrams, and no connection breaks.
func (b *bed) nothingLost(t *toll) {
	b.Helper()
	if t.failed.Load()+t.refused.Load()+t.broken.Load()+t.retransmitted.Load()+t.late.Load()+t.lost.Load() > 0 {
		b.Errorf("something was lost: %q", t.examples(&t.failed, &t.refused, &t.broken, &t.late, &t.retransmitted, &t.lost))
	}
	if t.opened.Load() == 0 || t.exchanged.Load() == 0 {
		b.Error("there was no traffic")
	}
}

// pause is for a random moment: what is disturbed has to meet it anywhere.
func pause(most time.Duration) { time.Sleep(rand.N(most)) }

func TestAKilledAgentLosesNothing(t *testing.T) {
	b := newBed(t)
	b.startAgent(unprotected)
	b.awaitSync()
	// Most are killed anywhere on their way, and the first and each fourth after it at work.
	kills, wrote := 0, 0
	before := b.generation()
	toll := b.under(func() {
		if kills++; kills%4 == 1 {
			b.await("the agent writes", func() bool { return b.generation() != before })
		}
		pause(400 * time.Millisecond)
		b.endAgent(os.Kill)
		now := b.generation()
		if now != before {
			wrote++
		}
		before = now
		b.startAgent(unprotected)
	})
	b.Logf("%d of %d agents wrote before they were killed", wrote, kills)
	if wrote == 0 {
		b.Error("no agent lived long enough to write")
	}
	b.nothingLost(toll)
	b.settled(unprotected)
}

func TestAnAPIServerThatIsAwayLosesNothing(t *testing.T) {
	b := newBed(t)
	b.startAgent(unprotected)
	b.awaitSync()
	toll := b.under(func() {
		b.gate.close(true)
		time.Sleep(*each / 2) // a minute in the long run: watches and leases of others end in it
		b.endAgent(os.Kill)   // a restart finds no server
		b.startAgent(unprotected)
		time.Sleep(*each / 2)
		b.gate.close(false)
		pause(*each / 4)
	})
	b.nothingLost(toll)
	b.settled(unprotected)
}

func TestBrokenAndHangingWatchesLoseNothing(t *testing.T) {
	b := newBed(t)
	b.startAgent(unprotected)
	b.awaitSync()
	toll := b.under(func() {
		pause(200 * time.Millisecond)
		b.gate.cut()
		pause(200 * time.Millisecond)
		b.gate.freeze(true)
		pause(400 * time.Millisecond)
		b.gate.freeze(false)
	})
	b.nothingLost(toll)
	b.settled(unprotected)
}
