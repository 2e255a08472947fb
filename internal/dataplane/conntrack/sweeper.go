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
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A walk visits every bucket of the kernel's table, and endpoints may come and
// go hundreds of times in a second: after a walk no other begins for rest times
// as long as it took, so that walks take 2 % of a processor, but not for longer
// than maxRest, in which clients may lose packets.
const (
	rest    = 49
	maxRest = time.Second
)

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
// once; what comes while a walk is on or just over shares the next. Nothing is
// forgotten before it was carried out. It is safe for concurrent use.
type Sweeper struct {
	sweep  func(context.Context, Sweep) (int, error)
	report func(Swept)

	mu           sync.Mutex
	stale        map[Destination]Stale
	untranslated map[Destination]struct{}
	wake         chan struct{}
}

// NewSweeper is a Sweeper that walks with cleaner and tells report of each
// walk, which may be nil.
func NewSweeper(cleaner *Cleaner, report func(Swept)) *Sweeper {
	return newSweeper(cleaner.Sweep, report)
}

func newSweeper(sweep func(context.Context, Sweep) (int, error), report func(Swept)) *Sweeper {
	if report == nil {
		report = func(Swept) {}
	}
	return &Sweeper{
		sweep: sweep, report: report, wake: make(chan struct{}, 1),
		stale: map[Destination]Stale{}, untranslated: map[Destination]struct{}{},
	}
}

// Add asks for a Sweep. Of one destination only the newest request counts: it
// was made when the ones before it were known.
func (s *Sweeper) Add(what Sweep) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(what, true)
	select {
	case s.wake <- struct{}{}:
	default: // already awake
	}
}

func (s *Sweeper) add(what Sweep, newer bool) {
	for to, stale := range what.byDestination() {
		if _, known := s.stale[to]; newer || !known {
			s.stale[to] = stale
		}
	}
	for _, to := range what.Untranslated {
		s.untranslated[to] = struct{}{}
	}
}

func (s *Sweeper) take() Sweep {
	s.mu.Lock()
	defer s.mu.Unlock()
	what := Sweep{Untranslated: slices.Collect(maps.Keys(s.untranslated))}
	for to, stale := range s.stale {
		stale.Addrs, stale.Port = []netip.Addr{to.Addr.Addr()}, to.Addr.Port()
		what.Stale = append(what.Stale, stale)
	}
	clear(s.stale)
	clear(s.untranslated)
	return what
}

// Run serves requests until ctx ends.
func (s *Sweeper) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.walk(ctx)):
		}
	}
}

// walk does all that was asked for and returns how long to rest.
func (s *Sweeper) walk(ctx context.Context) time.Duration {
	what := s.take()
	if len(what.Stale)+len(what.Untranslated) == 0 {
		return 0
	}
	begin := time.Now()
	deleted, err := s.sweep(ctx, what)
	took := time.Since(begin)
	s.report(Swept{len(what.Stale) + len(what.Untranslated), deleted, took, err})
	if err == nil {
		return min(rest*took, maxRest)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(what, false)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return retryPause
}
