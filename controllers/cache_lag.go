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

package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// firstLagRetry is when a lagging cache is first looked at again: it costs a list
	// from memory, and the watch usually needs milliseconds. Each look is as far from
	// the last as that is from the beginning, up to lagRetry.
	firstLagRetry = 5 * time.Millisecond
	lagRetry      = 50 * time.Millisecond
	// lagLimit is when a cache that still has not shown our write is believed.
	// An object that was created and deleted between two lists of the informer
	// never shows, and waiting for it would freeze its Service for good.
	lagLimit = 30 * time.Second
)

// cacheLag remembers since when the cache has been behind our writes, by object.
type cacheLag struct {
	now   func() time.Time
	mu    sync.Mutex
	since map[types.NamespacedName]time.Time
}

func newCacheLag(now func() time.Time) *cacheLag {
	return &cacheLag{now: now, since: map[types.NamespacedName]time.Time{}}
}

// wait is called each time the cache is found behind. It returns how long to wait
// before looking again, or zero when there is no point in waiting any longer.
func (l *cacheLag) wait(key types.NamespacedName) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	since, waiting := l.since[key]
	if !waiting {
		l.since[key] = now
		return firstLagRetry
	}
	if lasting := now.Sub(since); lasting < lagLimit {
		return min(max(lasting, firstLagRetry), lagRetry)
	}
	return 0
}

func (l *cacheLag) caughtUp(key types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.since, key)
}
