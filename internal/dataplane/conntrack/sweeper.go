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
	"sync"
	"time"
)

// pace bounds what walks cost. A walk visits every bucket of the kernel's table,
// and endpoints may come and go hundreds of times in a second: after one, no
// other begins for rest times as long as it took, but for most at most.
type pace struct {
	rest int
	most time.Duration
}

var (
	// ofUDP takes at most 2 % of a processor: clients lose packets until the walk.
	ofUDP = pace{rest: 49, most: time.Second}
	// ofOthers takes 0.25 %. Clients of TCP and SCTP repeat a first packet that is
	// not answered for a minute or two, Linux five times in the first seven
	// seconds, and find another endpoint after the walk.
	ofOthers = pace{rest: 399, most: 6 * time.Second}
	// ofUntranslated counts for both where something waits that was let through
	// while there was no rule for it, as after a repair: its first repetition, a
	// second after the packet, should find the rule.
	ofUntranslated = pace{rest: 49, most: 500 * time.Millisecond}
)

// after is how long to rest after a walk.
func (p pace) after(took time.Duration) time.Duration {
	return min(time.Duration(p.rest)*took, p.most)
}

// retryPause is how long a Sweeper waits after a walk that failed.
const retryPause = time.Second

// Swept is what one walk of a Sweeper came to.
type Swept struct {
	// Destinations counts what it looked for, Deleted the entries.
	Destinations, Deleted int
	Duration              time.Duration
	Err                   error
}

// Sweeper deletes entries in the background. The first request is served at
// once; what comes while a walk is on or just over shares the next. UDP has
// walks of its own. Nothing is forgotten before it was carried out. It is safe
// for concurrent use.
type Sweeper struct{ udp, others *line }

// NewSweeper is a Sweeper that walks with cleaner and tells report of each
// walk, which may be nil.
func NewSweeper(cleaner *Cleaner, report func(Swept)) *Sweeper {
	return newSweeper(cleaner.Sweep, report)
}

func newSweeper(sweep func(context.Context, Sweep) (int, error), report func(Swept)) *Sweeper {
	if report == nil {
		report = func(Swept) {}
	}
	return &Sweeper{newLine(ofUDP, sweep, report), newLine(ofOthers, sweep, report)}
}

// Add asks for a Sweep. Of one destination only the newest request counts: it
// was made when the ones before it were known.
func (s *Sweeper) Add(what Sweep) {
	udp, others := what.split()
	s.udp.join(udp)
	s.others.join(others)
}

// split tells UDP from the rest.
func (s Sweep) split() (udp, others Sweep) {
	for _, stale := range s.Stale {
		part := &udp
		if spared(stale.Protocol) {
			part = &others
		}
		part.Stale = append(part.Stale, stale)
	}
	for _, to := range s.Untranslated {
		part := &udp
		if spared(to.Protocol) {
			part = &others
		}
		part.Untranslated = append(part.Untranslated, to)
	}
	return udp, others
}

// Run serves requests until ctx ends.
func (s *Sweeper) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { s.udp.run(ctx) })
	running.Go(func() { s.others.run(ctx) })
	running.Wait()
}
