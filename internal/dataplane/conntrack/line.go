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

// line is where requests of a Sweeper wait for the next walk.
type line struct {
	pace   pace
	sweep  func(context.Context, Sweep) (int, error)
	report func(Swept)

	mu           sync.Mutex
	stale        map[Destination]Stale
	untranslated map[Destination]struct{}
	wake         chan struct{}
}

func newLine(pace pace, sweep func(context.Context, Sweep) (int, error), report func(Swept)) *line {
	return &line{
		pace: pace, sweep: sweep, report: report, wake: make(chan struct{}, 1),
		stale: map[Destination]Stale{}, untranslated: map[Destination]struct{}{},
	}
}

// join is Sweeper.Add.
func (l *line) join(what Sweep) {
	if len(what.Stale)+len(what.Untranslated) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(what, true)
	l.wakeUp()
}

func (l *line) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default: // already awake
	}
}

func (l *line) add(what Sweep, newer bool) {
	for to, stale := range what.byDestination() {
		if _, known := l.stale[to]; newer || !known {
			l.stale[to] = stale
		}
	}
	for _, to := range what.Untranslated {
		l.untranslated[to] = struct{}{}
	}
}

func (l *line) take() Sweep {
	l.mu.Lock()
	defer l.mu.Unlock()
	what := Sweep{Untranslated: slices.Collect(maps.Keys(l.untranslated))}
	for to, stale := range l.stale {
		stale.Addrs, stale.Port = []netip.Addr{to.Addr.Addr()}, to.Addr.Port()
		what.Stale = append(what.Stale, stale)
	}
	clear(l.stale)
	clear(l.untranslated)
	return what
}

func (l *line) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(l.walk(ctx)):
		}
	}
}

// walk does all that was asked for and returns how long to rest.
func (l *line) walk(ctx context.Context) time.Duration {
	what := l.take()
	if len(what.Stale)+len(what.Untranslated) == 0 {
		return 0
	}
	begin := time.Now()
	deleted, err := l.sweep(ctx, what)
	took := time.Since(begin)
	l.report(Swept{len(what.Stale) + len(what.Untranslated), deleted, took, err})
	if err == nil {
		return min(time.Duration(l.pace.rest)*took, l.pace.most)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(what, false)
	l.wakeUp()
	return retryPause
}
