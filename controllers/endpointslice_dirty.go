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
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// dirtyPods remembers why a Service is queued: for some pods alone, or for
// anything else, which wants the whole of it looked at. A Service of which nothing
// is known is looked at as a whole.
type dirtyPods struct {
	mu       sync.Mutex
	services map[types.NamespacedName]*dirt
}

type dirt struct {
	// planned is false until the whole has been planned once, and when that has to
	// be done again.
	planned bool
	pods    map[string]struct{}
}

func newDirtyPods() *dirtyPods { return &dirtyPods{services: map[types.NamespacedName]*dirt{}} }

// add notes a pod before its Service is queued. More than a few are as much work
// as the whole.
func (d *dirtyPods) add(service types.NamespacedName, pod string) {
	const few = 256
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.services[service]
	if known == nil || !known.planned {
		return
	}
	if known.pods == nil {
		known.pods = map[string]struct{}{}
	}
	known.pods[pod] = struct{}{}
	if len(known.pods) > few {
		known.planned, known.pods = false, nil
	}
}

// whole says that more has changed than pods, or that a plan was not carried out.
func (d *dirtyPods) whole(service types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.services, service)
}

// errand is what a request is for. Without the whole and without pods there is
// nothing to do: whatever is noted is noted before its request is queued, so an
// earlier request has taken it.
type errand struct {
	whole bool
	pods  []string
}

func (e errand) done() bool { return !e.whole && len(e.pods) == 0 }

// take returns what a request is for. What comes from now on is for the next
// request; the Service counts as planned, so a failure has to be told to whole.
func (d *dirtyPods) take(service types.NamespacedName) errand {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.services[service]
	if known == nil {
		known = &dirt{}
		d.services[service] = known
	}
	taken := errand{whole: !known.planned}
	for pod := range known.pods {
		taken.pods = append(taken.pods, pod)
	}
	known.planned, known.pods = true, nil
	return taken
}

// giveBack undoes take for a request that nothing was done about.
func (d *dirtyPods) giveBack(service types.NamespacedName, taken errand) {
	if taken.whole {
		d.whole(service)
	}
	for _, pod := range taken.pods {
		d.add(service, pod)
	}
}

// work has do what a request is for, after that was taken and before anything is
// read: what is noted later, of changes that have not been read, is for the next
// request. Nothing that goes wrong may be taken for a whole that has been planned.
func (d *dirtyPods) work(service types.NamespacedName, do func(errand) (time.Duration, error)) (wait time.Duration, err error) {
	taken, returned := d.take(service), false
	defer func() {
		switch {
		case !returned || err != nil:
			d.whole(service)
		case wait > 0:
			d.giveBack(service, taken)
		}
	}()
	wait, err = do(taken)
	returned = true
	return wait, err
}

// wholes is a handler whose requests are for whole Services.
func (d *dirtyPods) wholes(of handler.EventHandler) handler.EventHandler {
	marked := func(queue requestQueue) requestQueue { return wholeQueue{queue, d} }
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, queue requestQueue) { of.Create(ctx, e, marked(queue)) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue requestQueue) { of.Update(ctx, e, marked(queue)) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, queue requestQueue) { of.Delete(ctx, e, marked(queue)) },
	}
}

// wholeQueue marks before it adds.
type wholeQueue struct {
	requestQueue
	dirty *dirtyPods
}

func (q wholeQueue) Add(request reconcile.Request) {
	q.dirty.whole(request.NamespacedName)
	q.requestQueue.Add(request)
}

func (q wholeQueue) AddAfter(request reconcile.Request, after time.Duration) {
	q.dirty.whole(request.NamespacedName)
	q.requestQueue.AddAfter(request, after)
}

func (q wholeQueue) AddRateLimited(request reconcile.Request) {
	q.dirty.whole(request.NamespacedName)
	q.requestQueue.AddRateLimited(request)
}
