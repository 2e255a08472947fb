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
// then one in newsInterval. A while without news gives the burst back.
const (
	newsBurst    = 5
	newsInterval = 5 * time.Second
)

// bell tells news of one kind, not more often than it may. News that come while
// it waits are told with those it waits for.
type bell struct {
	ring func()

	mu      sync.Mutex
	limiter *rate.Limiter
	waiting bool
}

func newBell(ring func()) *bell {
	return &bell{ring: ring, limiter: rate.NewLimiter(rate.Every(newsInterval), newsBurst)}
}

// press rings now or as soon as it may, unless ctx ends before. It is false when
// the bell will ring for earlier news anyway.
func (b *bell) press(ctx context.Context) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting {
		return false
	}
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
