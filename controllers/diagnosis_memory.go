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
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// diagnosisMemory is what is known of a Service beside the caches. It is lost at a
// restart: graces begin anew then, and nothing else is different.
type diagnosisMemory struct {
	uid types.UID
	// since is when what is not written yet began to be.
	since map[string]time.Time
	// wrote is the version that our last write made.
	wrote string
	// theirs are conditions of our names that somebody else has written.
	theirs []string
	// flaps are how often it has been well again of late.
	flaps flaps
	// turn is when it may be written for the first time.
	turn time.Time
	// endpoints are a large Endpoints object and when it was read.
	endpoints     *corev1.Endpoints
	endpointsRead time.Time
}

func (m *diagnosisMemory) leave(conditionTypes []string) {
	m.theirs = append(m.theirs, conditionTypes...)
}

// ours takes the conditions of somebody else as they are, as long as they are there.
func (m *diagnosisMemory) ours(there, found []metav1.Condition) []metav1.Condition {
	m.theirs = slices.DeleteFunc(m.theirs, func(name string) bool { return conditionOf(there, name) == nil })
	if len(m.theirs) == 0 {
		return found
	}
	found = slices.Clone(found)
	for i := range found {
		if slices.Contains(m.theirs, found[i].Type) {
			found[i] = *conditionOf(there, found[i].Type)
		}
	}
	return found
}

// diagnosisMemories are those of all Services of which there is anything to know.
type diagnosisMemories struct {
	mu       sync.Mutex
	services map[types.NamespacedName]*diagnosisMemory
}

// of is the memory of a Service, empty if it is another one of the same name.
func (m *diagnosisMemories) of(key types.NamespacedName, uid types.UID) *diagnosisMemory {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.services[key]; known != nil && known.uid == uid {
		return known
	}
	return &diagnosisMemory{uid: uid, flaps: flaps{}}
}

// keep holds on to what is worth it.
func (m *diagnosisMemories) keep(key types.NamespacedName, memory *diagnosisMemory) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(memory.since)+len(memory.theirs)+len(memory.flaps) == 0 && memory.wrote == "" && memory.endpointsRead.IsZero() && memory.turn.IsZero() {
		delete(m.services, key)
		return
	}
	if m.services == nil {
		m.services = map[types.NamespacedName]*diagnosisMemory{}
	}
	m.services[key] = memory
}

func (m *diagnosisMemories) forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.services, key)
}
