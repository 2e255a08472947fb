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

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// writeTracker remembers our last write to each Endpoints object by the resource
// versions before and after it. The first tells a cache that has not seen the
// write, the second a watch event that is only its echo.
type writeTracker struct {
	mu     sync.Mutex
	writes map[types.NamespacedName]endpointsWrite
}

type endpointsWrite struct{ before, after string }

func newWriteTracker() *writeTracker {
	return &writeTracker{writes: map[types.NamespacedName]endpointsWrite{}}
}

// wrote records a write; before is nil for a creation. A write that changed
// nothing leaves the version as it was and supersedes nothing
// (kubernetes/kubernetes issue 127370).
func (t *writeTracker) wrote(before, after *corev1.Endpoints) {
	write := endpointsWrite{after: after.ResourceVersion}
	if before != nil && before.ResourceVersion != after.ResourceVersion {
		write.before = before.ResourceVersion
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writes[client.ObjectKeyFromObject(after)] = write
}

// superseded says that we have overwritten this version already.
func (t *writeTracker) superseded(endpoints *corev1.Endpoints) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	write, held := t.writes[client.ObjectKeyFromObject(endpoints)]
	return held && write.before == endpoints.ResourceVersion
}

// isOwn says that this version is the one we wrote.
func (t *writeTracker) isOwn(object client.Object) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	write, held := t.writes[client.ObjectKeyFromObject(object)]
	return held && write.after == object.GetResourceVersion()
}

func (t *writeTracker) forget(key types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.writes, key)
}
