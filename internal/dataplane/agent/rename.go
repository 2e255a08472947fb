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
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// Whoever adds a second port to a Service has to name the first one. The
// Service and its EndpointSlices, which match by that name, then change one
// after the other, and the two watches deliver them in either order. Between
// the two no endpoint matches: a port that had endpoints before, and will
// again, would refuse connections. Such a change waits for its other half.

// renamePatience is how long it waits. The EndpointSlice controller takes
// milliseconds; slices that are written by hand may never follow.
const renamePatience = time.Second

// rename is a Service whose changes wait for the rest of it.
type rename struct {
	names    map[model.ServicePortName]struct{}
	triggers []trigger
	// since is when the oldest of the changes arrived.
	since, until time.Time
}

// destination is what ServicePorts of one Service pass on in a rename.
type destination struct {
	service   types.NamespacedName
	protocol  model.Protocol
	clusterIP netip.Addr
	port      uint16
}

func destinationOf(d *policy.Decision) destination {
	return destination{serviceOf(d.Name), d.Name.Protocol, d.ClusterIP, d.Port}
}

func serviceOf(name model.ServicePortName) types.NamespacedName {
	return types.NamespacedName{Namespace: name.Namespace, Name: name.Name}
}

// postpone takes the Services out of work and c whose rename has arrived by half.
func (l *lane) postpone(work *work, c changes) changes {
	half := l.halfRenamed(c)
	l.resume(work, func(service types.NamespacedName) bool {
		_, stays := half[service]
		return !stays && len(l.renames[service].names) == 0 // all rejoined
	})
	if len(half) == 0 {
		return c
	}
	waits := func(name model.ServicePortName) bool {
		_, waits := half[serviceOf(name)]
		return waits
	}
	for service := range half {
		l.await(service, work.since)
	}
	for name := range work.names {
		if waits(name) {
			l.renames[serviceOf(name)].names[name] = struct{}{}
			delete(work.names, name)
		}
	}
	work.triggers = slices.DeleteFunc(work.triggers, func(t trigger) bool {
		_, waits := half[t.service]
		if waits {
			l.renames[t.service].triggers = append(l.renames[t.service].triggers, t)
		}
		return waits
	})
	c.changed = slices.DeleteFunc(c.changed, func(d policy.Decision) bool { return waits(d.Name) })
	c.removed = slices.DeleteFunc(c.removed, waits)
	return c
}

// await sets the time for service, unless it has one.
func (l *lane) await(service types.NamespacedName, since time.Time) {
	if _, already := l.renames[service]; already {
		return
	}
	if l.renames == nil {
		l.renames = map[types.NamespacedName]*rename{}
	}
	l.renames[service] = &rename{names: map[model.ServicePortName]struct{}{}, since: since, until: time.Now().Add(renamePatience)}
	l.queue.countRenames(1)
	one := model.ServicePortName{Namespace: service.Namespace, Name: service.Name} // the others rejoin it
	time.AfterFunc(renamePatience, func() { l.queue.add([]model.ServicePortName{one}, event{}) })
}

// rejoin adds to work what was postponed of its Services.
func (l *lane) rejoin(work *work) {
	if len(l.renames) == 0 {
		return
	}
	services := map[types.NamespacedName]struct{}{}
	for name := range work.names {
		services[serviceOf(name)] = struct{}{}
	}
	for service := range services {
		if r := l.renames[service]; r != nil {
			for name := range r.names {
				work.names[name] = struct{}{}
			}
			clear(r.names)
			r.returnTimes(work)
		}
	}
}

// returnTimes adds to work when its changes began.
func (r *rename) returnTimes(work *work) {
	work.addTriggers(r.triggers)
	r.triggers = nil
	if r.since.Before(work.since) {
		work.since = r.since
	}
}

// resume ends the waiting of Services.
func (l *lane) resume(work *work, which func(types.NamespacedName) bool) {
	for service, r := range l.renames {
		if which(service) {
			r.returnTimes(work)
			delete(l.renames, service)
			l.queue.countRenames(-1)
		}
	}
}

// halfRenamed finds the Services that are to wait: a destination had endpoints
// until now, under whatever name, and has none only because names differ.
func (l *lane) halfRenamed(c changes) map[types.NamespacedName]struct{} {
	if len(c.half) == 0 {
		return nil
	}
	served, half := l.served(c), map[types.NamespacedName]struct{}{}
	for _, to := range c.half {
		if _, ok := served[to]; ok && !l.overdue(to.service) {
			half[to.service] = struct{}{}
		}
	}
	return half
}

// overdue says that service has waited for long enough.
func (l *lane) overdue(service types.NamespacedName) bool {
	r := l.renames[service]
	return r != nil && !time.Now().Before(r.until)
}

// served are the destinations that lead to endpoints in the table and are about
// to change.
func (l *lane) served(c changes) map[destination]struct{} {
	served := map[destination]struct{}{}
	add := func(name model.ServicePortName) {
		if before := l.before(name); len(before.Cluster) > 0 {
			served[destinationOf(before)] = struct{}{}
		}
	}
	for i := range c.changed {
		add(c.changed[i].Name)
	}
	for _, name := range c.removed {
		add(name)
	}
	return served
}

// countRenames counts Services whose changes were taken and wait all the same.
func (q *queue) countRenames(services int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expect(health.Pending{Services: services}, 1)
}
