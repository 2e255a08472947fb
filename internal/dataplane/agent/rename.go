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

// postponed is a Service whose changes wait for the rest of a rename.
type postponed struct {
	names map[model.ServicePortName]struct{}
	until time.Time
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

func (a *Agent) halfRenamed(family model.Family, name model.ServicePortName) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.store.HalfRenamed(name, family)
}

// postpone takes the Services out of work whose rename has arrived by half.
func (l *lane) postpone(work work, changed []policy.Decision, removed []model.ServicePortName) ([]policy.Decision, []model.ServicePortName) {
	half := l.halfRenamed(changed, removed)
	l.resume(func(service types.NamespacedName) bool {
		_, stays := half[service]
		return !stays && len(l.postponed[service].names) == 0 // all rejoined
	})
	if len(half) == 0 {
		return changed, removed
	}
	for service := range half {
		l.begin(service)
	}
	waits := func(name model.ServicePortName) bool {
		_, waits := half[serviceOf(name)]
		return waits
	}
	for name := range work.names {
		if waits(name) {
			l.postponed[serviceOf(name)].names[name] = struct{}{}
			delete(work.names, name)
		}
	}
	return slices.DeleteFunc(changed, func(d policy.Decision) bool { return waits(d.Name) }), slices.DeleteFunc(removed, waits)
}

// begin sets the time for service, unless it has one.
func (l *lane) begin(service types.NamespacedName) {
	if _, already := l.postponed[service]; already {
		return
	}
	if l.postponed == nil {
		l.postponed = map[types.NamespacedName]postponed{}
	}
	l.postponed[service] = postponed{map[model.ServicePortName]struct{}{}, time.Now().Add(renamePatience)}
	l.queue.postponed(1)
	one := model.ServicePortName{Namespace: service.Namespace, Name: service.Name} // the others rejoin it
	time.AfterFunc(renamePatience, func() { l.queue.add([]model.ServicePortName{one}, event{}) })
}

// rejoin adds to work what was postponed of its Services.
func (l *lane) rejoin(work work) {
	if len(l.postponed) == 0 {
		return
	}
	services := map[types.NamespacedName]struct{}{}
	for name := range work.names {
		services[serviceOf(name)] = struct{}{}
	}
	for service := range services {
		for name := range l.postponed[service].names {
			work.names[name] = struct{}{}
		}
		clear(l.postponed[service].names)
	}
}

// resume ends the waiting of Services.
func (l *lane) resume(which func(types.NamespacedName) bool) {
	for service := range l.postponed {
		if which(service) {
			delete(l.postponed, service)
			l.queue.postponed(-1)
		}
	}
}

// halfRenamed finds the Services that are to wait: a destination had endpoints
// until now, under whatever name, and has none only because names differ.
func (l *lane) halfRenamed(changed []policy.Decision, removed []model.ServicePortName) map[types.NamespacedName]struct{} {
	var candidates []*policy.Decision
	for i := range changed {
		if d := &changed[i]; len(d.Cluster) == 0 && !l.overdue(serviceOf(d.Name)) && l.decider.halfRenamed(l.family, d.Name) {
			candidates = append(candidates, d)
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	served, half := l.served(changed, removed), map[types.NamespacedName]struct{}{}
	for _, d := range candidates {
		if _, ok := served[destinationOf(d)]; ok {
			half[serviceOf(d.Name)] = struct{}{}
		}
	}
	return half
}

// overdue says that service has waited for long enough.
func (l *lane) overdue(service types.NamespacedName) bool {
	waiting, ok := l.postponed[service]
	return ok && !time.Now().Before(waiting.until)
}

// served are the destinations that lead to endpoints in the table and are about
// to change.
func (l *lane) served(changed []policy.Decision, removed []model.ServicePortName) map[destination]struct{} {
	served := map[destination]struct{}{}
	add := func(name model.ServicePortName) {
		if before := l.before(name); len(before.Cluster) > 0 {
			served[destinationOf(before)] = struct{}{}
		}
	}
	for i := range changed {
		add(changed[i].Name)
	}
	for _, name := range removed {
		add(name)
	}
	return served
}

// postponed counts Services whose changes were taken and wait all the same.
func (q *queue) postponed(services int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expect(health.Pending{Services: services}, 1)
}
