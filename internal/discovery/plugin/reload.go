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

package plugin

import (
	"slices"
	"sync"
)

// reload is the change from one configuration to the next, if one is under way.
// CoreDNS starts the next one before the one until now ends, and tells only the
// latter how that went: a new one that failed is forgotten where it is.
var reload handover

// handover knows both sides of a change, each with a Handler for each stanza.
type handover struct {
	mu       sync.Mutex
	old      []*Handler
	starting []starting
}

type starting struct {
	handler *Handler
	stop    func()
}

// leaves notes a Handler that is to be replaced.
func (r *handover) leaves(h *Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.old = append(r.old, h)
	r.starting = nil // whatever started earlier is what now runs
}

// leaving are the Handlers that are to be replaced; nil if there are none, or
// they know no more than a new one.
func (r *handover) leaving() *[]*Handler {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.old) == 0 || slices.ContainsFunc(r.old, func(h *Handler) bool { return !h.full() }) {
		return nil
	}
	old := slices.Clone(r.old)
	return &old
}

// starts notes how to stop a Handler that begins to follow the cluster.
func (r *handover) starts(h *Handler, stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starting = append(r.starting, starting{h, stop})
}

// failed stops the Handlers that were to be the new ones. CoreDNS's list of whom
// to ask for readiness still has them: it is for the old ones to say.
func (r *handover) failed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := slices.Clone(r.old)
	for _, s := range r.starting {
		s.stop()
		s.handler.before.Store(&old)
	}
	r.old, r.starting = nil, nil
}

// done is when the new Handlers answer.
func (r *handover) done() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.old, r.starting = nil, nil
}
