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

package agent

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// work is what waits for a lane.
type work struct {
	// names may have changed.
	names map[model.ServicePortName]struct{}
	// triggers are when the causes of the changes happened.
	triggers []trigger
	// cause is why everything has to be compared with the kernel, in a word;
	// empty when names are enough.
	cause string
	// node is the node as it is now.
	node policy.Node
	// number is what health calls the last change in it.
	number health.Generation
	// since is when the oldest change arrived.
	since time.Time
	// pending counts the events of the API behind the changes.
	pending health.Pending
}

// trigger is when what caused a change of a Service's endpoints happened.
type trigger struct {
	service types.NamespacedName
	at      time.Time
}

// maxTriggers bounds what waits for a latency metric while the kernel refuses.
const maxTriggers = 10_000

func (w work) empty() bool { return len(w.names) == 0 && w.cause == "" }

// queue collects work. It never blocks who adds to it. Under its own lock it
// tells health what waits: what arrives while a sync ends must not be taken for
// part of it.
type queue struct {
	family  model.Family
	state   *health.State
	metrics *health.Metrics

	mu   sync.Mutex
	work work
	// pending is what is in work and in what was taken and is not done.
	pending health.Pending
	wake    chan struct{}
}

func newQueue(family model.Family, state *health.State, metrics *health.Metrics) queue {
	return queue{family: family, state: state, metrics: metrics, work: work{node: policy.Node{Family: family}}, wake: make(chan struct{}, 1)}
}

// event is one change of the API's.
type event struct {
	// of counts it.
	of health.Pending
	// family is the one that it concerns, 0 for both.
	family model.Family
	// cause is what brought it about, at no time if that is not known.
	cause trigger
}

var (
	serviceEvent = event{of: health.Pending{Services: 1}}
	sliceEvent   = health.Pending{EndpointSlices: 1}
)

// add queues names that an event may have changed.
func (q *queue) add(names []model.ServicePortName, e event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.work.addNames(names)
	q.work.pending = plus(q.work.pending, e.of, 1)
	q.expect(e.of, 1)
	q.metrics.Queued(q.family)
	if !e.cause.at.IsZero() && e.family == q.family {
		q.work.addTriggers([]trigger{e.cause})
	}
	q.added()
}

// added lets health and who waits know of work.
func (q *queue) added() {
	q.work.number = q.state.Queued(q.family)
	if q.work.since.IsZero() {
		q.work.since = time.Now()
	}
	q.again()
}

// done says that what was taken is in the kernel.
func (q *queue) done(taken work) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.state.Done(q.family, taken.number)
	q.expect(taken.pending, -1)
}

func (q *queue) expect(events health.Pending, sign int) {
	q.pending = plus(q.pending, events, sign)
	q.metrics.SetPending(q.family, q.pending)
}

func plus(a, b health.Pending, sign int) health.Pending {
	return health.Pending{Services: a.Services + sign*b.Services, EndpointSlices: a.EndpointSlices + sign*b.EndpointSlices}
}

// addTriggers keeps the oldest, which tell how long the kernel has refused.
func (w *work) addTriggers(triggers []trigger) {
	room := max(0, maxTriggers-len(w.triggers))
	w.triggers = append(w.triggers, triggers[:min(room, len(triggers))]...)
}

func (w *work) addNames(names []model.ServicePortName) {
	if w.names == nil {
		w.names = make(map[model.ServicePortName]struct{}, len(names))
	}
	for _, name := range names {
		w.names[name] = struct{}{}
	}
}

// addFull asks for a comparison of everything with the kernel.
func (q *queue) addFull(cause string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.work.cause = cause
	q.added()
}

// setNode asks for the same if node has changed.
func (q *queue) setNode(node policy.Node, changed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.work.node = node
	if changed {
		q.work.cause = "node"
		q.added()
	}
}

// again wakes who waits, although nothing was added.
func (q *queue) again() {
	select {
	case q.wake <- struct{}{}:
	default: // already awake
	}
}

// wait returns true when there may be work, false when ctx has ended.
func (q *queue) wait(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-q.wake:
		return ctx.Err() == nil
	}
}

// take empties the queue but for the node, which stays known.
func (q *queue) take() work {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.work
	q.work = work{node: taken.node}
	return taken
}

// giveBack returns work that failed. What the kernel holds is unknown now, so
// that names alone are not enough any more.
func (q *queue) giveBack(failed work) {
	q.mu.Lock()
	defer q.mu.Unlock()
	newer := q.work.triggers
	q.work.triggers = failed.triggers
	q.work.addTriggers(newer)
	if q.work.cause == "" {
		q.work.cause = "failure"
	}
	q.work.number = max(q.work.number, failed.number)
	q.work.since = failed.since
	q.work.pending = plus(q.work.pending, failed.pending, 1)
}
