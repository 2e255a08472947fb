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

package webhooks

import (
	"context"
	"sync"
)

// turns lets few large changes be judged at a time, one of each namespace and a
// few of all: who sends many of them waits for himself. What is small never
// waits. nil lets everything pass.
type turns struct {
	mu    sync.Mutex
	lanes map[string]*lane
	// all has a place for each large change that may be judged.
	all chan struct{}
}

// lane is the queue of a namespace.
type lane struct {
	turn  chan struct{}
	users int
}

const (
	// largeChange is how many addresses and ports are more than a Service of
	// everyday has, and how many take well below a millisecond.
	largeChange = 16
	// largeAtOnce are judged at the same time, in all namespaces.
	largeAtOnce = 4
)

func newTurns() *turns {
	return &turns{lanes: map[string]*lane{}, all: make(chan struct{}, largeAtOnce)}
}

// take waits until a change of this size may be judged and returns what ends that,
// or until the time is over: then the rules find no time left.
func (t *turns) take(ctx context.Context, namespace string, size int) (leave func()) {
	if t == nil || size <= largeChange {
		return func() {}
	}
	mine := t.enter(namespace)
	leaveLane := func() { t.exit(namespace, mine) }
	if !sent(ctx, mine.turn) {
		return leaveLane
	}
	if !sent(ctx, t.all) {
		return func() { <-mine.turn; leaveLane() }
	}
	return func() { <-t.all; <-mine.turn; leaveLane() }
}

// sent occupies a place, unless the time is over before there is one.
func sent(ctx context.Context, places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (t *turns) enter(namespace string) *lane {
	t.mu.Lock()
	defer t.mu.Unlock()
	mine := t.lanes[namespace]
	if mine == nil {
		mine = &lane{turn: make(chan struct{}, 1)}
		t.lanes[namespace] = mine
	}
	mine.users++
	return mine
}

// exit forgets a lane that nobody is in.
func (t *turns) exit(namespace string, mine *lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mine.users--; mine.users == 0 {
		delete(t.lanes, namespace)
	}
}
