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

package nft

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A repair compares a whole table, so whoever changes ours for ever must not get
// one for each of his changes: the first newsBurst of them are told at once,
// then one in the time of several repairs. A while without news gives the burst
// back.
const (
	newsBurst = 5
	// newsRest is how many times as long as the last repair took the next one
	// waits, at least newsSoon, which keeps small tables repaired within a
	// second, and at most newsLate.
	newsRest = 4
	newsSoon = 500 * time.Millisecond
	newsLate = 5 * time.Second
)

// newsInterval is the time from one repair to the next, given what one takes.
func newsInterval(repair time.Duration) time.Duration {
	return min(max(newsRest*repair, newsSoon), newsLate)
}

// bell tells news of one kind, not more often than it may. News that come while
// it waits are told with those it waits for.
type bell struct {
	ring func()
	// repair is how long it takes to do something about the news.
	repair func() time.Duration

	mu      sync.Mutex
	limiter *rate.Limiter
	waiting bool
}

func newBell(repair func() time.Duration, ring func()) *bell {
	return &bell{ring: ring, repair: repair, limiter: rate.NewLimiter(rate.Every(newsSoon), newsBurst)}
}

// press rings now or as soon as it may, unless ctx ends before. It is false when
// the bell will ring for earlier news anyway.
func (b *bell) press(ctx context.Context) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting {
		return false
	}
	b.limiter.SetLimit(rate.Every(newsInterval(b.repair())))
	delay := b.limiter.Reserve().Delay()
	if delay == 0 {
		b.ring()
		return true
	}
	b.waiting = true
	time.AfterFunc(delay, func() { b.ringLate(ctx) })
	return true
}

func (b *bell) ringLate(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = false
	if ctx.Err() == nil {
		b.ring()
	}
}
