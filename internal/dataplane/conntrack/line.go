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
	// taken is what the walk that is on looks for, and newer what was asked since
	// of any of it.
	taken, newer map[Destination]Stale
	// wake tells of any request, hurry of one for what was let through.
	wake, hurry chan struct{}
}

func newLine(pace pace, sweep func(context.Context, Sweep) (int, error), report func(Swept)) *line {
	return &line{
		pace: pace, sweep: sweep, report: report, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
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
	for to, stale := range what.byDestination() {
		l.ask(to, stale)
	}
	for _, to := range what.Untranslated {
		l.untranslated[to] = struct{}{}
	}
	if len(l.stale)+len(l.untranslated) > 0 {
		tell(l.wake)
	}
	if len(what.Untranslated) > 0 {
		tell(l.hurry)
	}
}

// ask puts the newest request for a destination in line, and what only amends
// if there is something to amend.
func (l *line) ask(to Destination, stale Stale) {
	_, waits := l.stale[to]
	waits = waits || !stale.Amends
	stale.Amends = false
	if waits {
		l.stale[to] = stale
	}
	if _, taken := l.taken[to]; taken {
		l.newer[to] = stale
	}
}

func tell(who chan struct{}) {
	select {
	case who <- struct{}{}:
	default: // told already
	}
}

func (l *line) take() Sweep {
	l.mu.Lock()
	defer l.mu.Unlock()
	what := Sweep{Stale: listed(l.stale), Untranslated: slices.Collect(maps.Keys(l.untranslated)), newer: l.since}
	l.taken, l.stale, l.newer = l.stale, map[Destination]Stale{}, map[Destination]Stale{}
	clear(l.untranslated)
	select {
	case <-l.hurry:
	default:
	}
	return what
}

// since is what was asked since take.
func (l *line) since() []Stale {
	l.mu.Lock()
	defer l.mu.Unlock()
	return listed(l.newer)
}

func listed(all map[Destination]Stale) []Stale {
	list := make([]Stale, 0, len(all))
	for to, stale := range all {
		stale.Addrs, stale.Port = []netip.Addr{to.Addr.Addr()}, to.Addr.Port()
		list = append(list, stale)
	}
	return list
}

// putBack is for a walk that failed. What was asked since counts more.
func (l *line) putBack(what Sweep) {
	maps.Copy(l.taken, l.newer)
	maps.Copy(l.taken, l.stale)
	l.stale = l.taken
	for _, to := range what.Untranslated {
		l.untranslated[to] = struct{}{}
	}
	tell(l.wake)
}

func (l *line) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		if took, rest := l.walk(ctx); rest > 0 {
			l.pause(ctx, ofUntranslated.after(took), rest)
		}
	}
}

// pause lasts for rest, or only for least if there is hurry.
func (l *line) pause(ctx context.Context, least, rest time.Duration) {
	least = min(least, rest)
	select {
	case <-ctx.Done():
		return
	case <-time.After(least):
	}
	select {
	case <-ctx.Done():
	case <-l.hurry:
	case <-time.After(rest - least):
	}
}

// walk does all that was asked for and returns how long it took and how long to
// rest.
func (l *line) walk(ctx context.Context) (took, rest time.Duration) {
	what := l.take()
	if len(what.Stale)+len(what.Untranslated) == 0 {
		return 0, 0
	}
	begin := time.Now()
	deleted, err := l.sweep(ctx, what)
	took = time.Since(begin)
	l.report(Swept{len(what.Stale) + len(what.Untranslated), deleted, took, err})
	l.mu.Lock()
	defer l.mu.Unlock()
	rest = l.pace.after(took)
	if err != nil {
		l.putBack(what)
		rest = retryPause
	}
	l.taken, l.newer = nil, nil
	return took, rest
}
