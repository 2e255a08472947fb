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

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/endpointslices"
	"switchyard.dev/switchyard/internal/subsets"
)

// manyPods is from when on a ledger is kept of a Service's pods. Of fewer, the
// whole is made in less time than an answer of the API server takes.
const manyPods = 100

// endpointsLedgers are of the Services with many pods.
type endpointsLedgers struct {
	mu       sync.Mutex
	services map[types.NamespacedName]*endpointsLedger
}

// endpointsLedger is what the pods of one version of a Service add to its
// Endpoints, and what these have.
type endpointsLedger struct {
	service *corev1.Service // which is not to be changed
	pods    *subsets.Ledger
	view    *subsets.View
	// current is the resource version of Endpoints that are known to be as written,
	// with the subsets of the view.
	current string
	written *subsets.View
	// next is before when they are not written again for the sake of pods.
	next time.Time
}

// restPerAddress is how long Endpoints are left alone after a write, for each of their
// addresses: a thousand are some 150 kB for the API server and for everybody who
// watches them. Slices, which are small, do not wait.
const restPerAddress = 500 * time.Microsecond

func newEndpointsLedgers() *endpointsLedgers {
	return &endpointsLedgers{services: map[types.NamespacedName]*endpointsLedger{}}
}

// of returns the ledger of this version of the Service, or nil. Callers of one
// Service take turns.
func (l *endpointsLedgers) of(service *corev1.Service) *endpointsLedger {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.services[types.NamespacedName{Namespace: service.Namespace, Name: service.Name}]
	if known == nil || known.service.ResourceVersion != service.ResourceVersion && !sameButStatus(known.service, service) {
		return nil
	}
	return known
}

// begin keeps a ledger if there are many pods, and if it can hold them.
func (l *endpointsLedgers) begin(service *corev1.Service, pods []*corev1.Pod) *endpointsLedger {
	key := types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
	l.forget(key)
	if len(pods) < manyPods {
		return nil
	}
	next := &endpointsLedger{service: service, pods: subsets.NewLedger(service.Namespace)}
	for _, pod := range pods {
		if !next.pods.Set(pod.Name, offerOf(service, pod)) {
			return nil
		}
	}
	next.view = next.pods.View(maxEndpointsAddresses)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.services[key] = next
	return next
}

func (l *endpointsLedgers) forget(service types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.services, service)
}

// apply takes in pods that have changed. It returns false where the ledger is
// of no use any more.
func (l *endpointsLedger) apply(service *corev1.Service, changes []endpointslices.Change) bool {
	for _, change := range changes {
		var offer *subsets.Offer
		if change.Pod != nil {
			offer = offerOf(service, change.Pod)
		}
		if !l.pods.Set(change.Name, offer) {
			return false
		}
	}
	if len(changes) > 0 {
		l.view = l.pods.View(maxEndpointsAddresses)
	}
	return true
}

// knows says that these Endpoints are those written last, of which everything is
// known but by a look into them.
func (l *endpointsLedger) knows(current *corev1.Endpoints) bool {
	return current != nil && current.ResourceVersion != "" && current.ResourceVersion == l.current
}

// upToDate says that these Endpoints are what they should be, without a look into
// them.
func (l *endpointsLedger) upToDate(current *corev1.Endpoints) bool {
	return l.knows(current) && l.view.Same(l.written)
}

// differs says that they are not, without a look, either. There may be no ledger.
func (l *endpointsLedger) differs(current *corev1.Endpoints) bool {
	return l != nil && l.knows(current) && !l.view.Same(l.written)
}

// pause is how long what pods change is gathered yet. There may be no ledger.
func (l *endpointsLedger) pause() time.Duration {
	if l == nil {
		return 0
	}
	return max(0, time.Until(l.next))
}

// rest begins with a write.
func (l *endpointsLedger) rest() {
	if l != nil {
		l.next = time.Now().Add(time.Duration(l.view.Len()) * restPerAddress)
	}
}

// wrote notes that Endpoints of this version are what they should be.
func (l *endpointsLedger) wrote(version string) { l.current, l.written = version, l.view }
