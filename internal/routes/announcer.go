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

package routes

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	// pace is the shortest time between two times that the daemon is told, so that
	// Services that come and go in numbers cost it little.
	pace = time.Second
	// again and atMost bound the time to the next attempt after one that failed,
	// which doubles each time.
	again, atMost = time.Second, 30 * time.Second
	// review is how often the file, and with FRR the daemon, is compared with what
	// is wanted.
	review = 10 * time.Second
)

// Metrics count what is done. Each method is called by one goroutine.
type Metrics interface {
	// Announced says how many prefixes of each family the daemon has taken.
	Announced(ipv4, ipv6 int)
	// Told counts a time that the daemon was told, or could not be.
	Told(err error)
	// Pending says whether the daemon has not taken what is wanted.
	Pending(bool)
}

// Announcer keeps a daemon announcing what is wanted.
type Announcer struct {
	daemon  daemon
	metrics Metrics
	// warn tells the node's administrators about a new error.
	warn func(error)

	mu    sync.Mutex
	known bool // want was set
	want  []netip.Prefix
	wake  chan struct{}
}

// New is an Announcer with valid options. It calls warn with each error that
// differs from the one before, unless warn is nil.
func New(o Options, metrics Metrics, warn func(error)) *Announcer {
	return newAnnouncer(o.open(), metrics, warn)
}

func newAnnouncer(d daemon, metrics Metrics, warn func(error)) *Announcer {
	if warn == nil {
		warn = func(error) {}
	}
	return &Announcer{daemon: d, metrics: metrics, warn: warn, wake: make(chan struct{}, 1)}
}

// Announce says that just these prefixes are wanted from now on. It does not
// block. What Usable refuses is left out.
func (a *Announcer) Announce(ctx context.Context, prefixes []netip.Prefix) {
	usable, refused := Usable(prefixes)
	a.mu.Lock()
	same := a.known && slices.Equal(usable, a.want)
	a.want, a.known = usable, true
	a.mu.Unlock()
	if same {
		return
	}
	if len(refused) > 0 {
		log.FromContext(ctx).Info("These are no addresses that can be announced by routes", "prefixes", refused)
	}
	select {
	case a.wake <- struct{}{}:
	default: // awake
	}
}

// Run tells the daemon until ctx ends, and then leaves it as it is: the rules that
// the routes lead to stay in the kernel, too. Nothing is told before Announce has
// been called.
func (a *Announcer) Run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-a.wake:
	}
	pause, said := again, ""
	for ctx.Err() == nil {
		want := a.wanted()
		changed, err := a.daemon.apply(ctx, want)
		if ctx.Err() != nil {
			return // an attempt that was broken off says nothing
		}
		a.tell(ctx, want, changed, err, &said)
		next := review
		if err == nil {
			pause = again
		} else {
			next, pause = pause, min(2*pause, atMost)
		}
		if !sleep(ctx, pace) || !a.await(ctx, next-pace) {
			return
		}
	}
}

func (a *Announcer) wanted() []netip.Prefix {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.want
}

func (a *Announcer) tell(ctx context.Context, want []netip.Prefix, changed bool, err error, said *string) {
	log := log.FromContext(ctx)
	a.metrics.Pending(err != nil)
	if err != nil || changed {
		a.metrics.Told(err)
	}
	switch {
	case err != nil && err.Error() != *said:
		*said = err.Error()
		log.Error(err, "The routing daemon does not announce what it should, will try again")
		a.warn(err)
	case err != nil:
	case changed || *said != "":
		*said = ""
		log.Info("The routing daemon announces", "prefixes", len(want))
	}
	if err == nil {
		families := split(want)
		a.metrics.Announced(len(families[0]), len(families[1]))
	}
}

// await returns after that time or when something else is wanted; false means
// that ctx has ended.
func (a *Announcer) await(ctx context.Context, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-a.wake:
	case <-timer.C:
	}
	return true
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Withdraw has the daemon announce nothing of ours, once; for a node that is
// given up. It fails if the daemon is not there.
func Withdraw(ctx context.Context, o Options) error {
	_, err := o.open().apply(ctx, nil)
	return err
}
