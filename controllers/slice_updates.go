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

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	endpointsliceutil "k8s.io/endpointslice/util"
)

// sliceUpdates are the updates that have been sent and not been answered. The
// watch may show one before its answer has come, which would be taken for a
// change by somebody else and have the whole Service planned again.
//
// Who sends them names the version to be replaced, so the next generation is
// either theirs, or they fail and have to look at the whole Service anyway.
type sliceUpdates struct {
	mu   sync.Mutex
	next map[types.UID]int64
	// gone are the slices whose end the watch has shown while something of their
	// Service was written. One may end before the answer to its creation comes.
	gone map[types.NamespacedName]map[types.UID]struct{}
}

func newSliceUpdates() *sliceUpdates {
	return &sliceUpdates{next: map[types.UID]int64{}, gone: map[types.NamespacedName]map[types.UID]struct{}{}}
}

// write is called before anything of a Service is written, and what it returns
// afterwards. Writers of one Service take turns.
func (u *sliceUpdates) write(service types.NamespacedName) (end func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.gone[service] = map[types.UID]struct{}{}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.gone, service)
	}
}

// ended notes a slice that the watch does not show any more.
func (u *sliceUpdates) ended(slice *discoveryv1.EndpointSlice) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if gone := u.gone[serviceOfSlice(slice)]; gone != nil {
		gone[slice.UID] = struct{}{}
	}
}

// wrote has the cache waited for, but not for a slice that somebody has deleted
// since: it would never show.
func (u *sliceUpdates) wrote(slice *discoveryv1.EndpointSlice, tracker *endpointsliceutil.EndpointSliceTracker) {
	tracker.Update(slice)
	if u.hasEnded(slice) {
		tracker.HandleDeletion(slice)
	}
}

// hasEnded says so of a slice that was written just now.
func (u *sliceUpdates) hasEnded(slice *discoveryv1.EndpointSlice) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ended := u.gone[serviceOfSlice(slice)][slice.UID]
	return ended
}

// begin is called with the version to be replaced. The caller calls the function
// that it returns when the answer has been noted.
func (u *sliceUpdates) begin(before *discoveryv1.EndpointSlice) (end func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.next[before.UID] = before.Generation + 1
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.next, before.UID)
	}
}

func (u *sliceUpdates) has(slice *discoveryv1.EndpointSlice) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	next, sent := u.next[slice.UID]
	return sent && next == slice.Generation
}
