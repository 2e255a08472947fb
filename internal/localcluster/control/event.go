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

package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// EventKind says what an Event means.
type EventKind string

const (
	// Started means that a step began.
	Started EventKind = "started"
	// Waiting tells what a step is waiting for.
	Waiting EventKind = "waiting"
	// Done means that a step ended well.
	Done EventKind = "done"
	// Failed means that the cluster will not come up; it is the last Event.
	Failed EventKind = "failed"
	// Ready means that the cluster can be used; it is the last Event.
	Ready EventKind = "ready"
)

// Event is one line of progress.
type Event struct {
	Kind EventKind `json:"kind"`
	// Step names the step, in a form to read after "waiting for".
	Step string `json:"step,omitempty"`
	// Detail is the reason of a wait or a failure.
	Detail string `json:"detail,omitempty"`
	// Elapsed is how long the step, or at the end the whole start, has taken.
	Elapsed time.Duration `json:"elapsed,omitempty"`
}

// Events writes Events. It may be used by several goroutines.
type Events struct {
	mu  sync.Mutex
	out *json.Encoder
}

// NewEvents writes to out. That nobody reads is no error: the cluster goes on.
func NewEvents(out io.Writer) *Events { return &Events{out: json.NewEncoder(out)} }

// Send writes one Event.
func (e *Events) Send(event Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.out.Encode(event)
}

// ErrEnded means that the supervisor is gone.
var ErrEnded = errors.New("the cluster's supervisor has ended")

// ReadEvents gives every Event from in to show, until the last one, which it
// returns, or until in ends, which is ErrEnded.
func ReadEvents(in io.Reader, show func(Event)) (Event, error) {
	decoder := json.NewDecoder(in)
	for {
		var event Event
		if err := decoder.Decode(&event); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return Event{}, ErrEnded
		} else if err != nil {
			return Event{}, fmt.Errorf("reading the cluster's progress: %w", err)
		}
		if event.Kind == Ready || event.Kind == Failed {
			return event, nil
		}
		show(event)
	}
}
