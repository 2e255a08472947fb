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

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"switchyard.dev/switchyard/internal/localcluster/control"
)

// pollInterval is how often a condition is looked at while the cluster starts.
const pollInterval = 100 * time.Millisecond

// step is one thing that `switchyard up` waits for.
type step struct {
	name   string
	events *control.Events

	mu     sync.Mutex
	reason string
}

// step tells the machine's side that a step begins and that it ended; failures
// are told by the caller, once.
func (s *Supervisor) step(ctx context.Context, name string, do func(ctx context.Context, st *step) error) error {
	st := &step{name: name, events: s.events}
	began := time.Now()
	s.events.Send(control.Event{Kind: control.Started, Step: name})
	if err := do(ctx, st); err != nil {
		return st.explain(ctx, err)
	}
	s.events.Send(control.Event{Kind: control.Done, Step: name, Elapsed: time.Since(began)})
	return nil
}

// waitFor says what the step is waiting for.
func (st *step) waitFor(reason string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if reason == st.reason {
		return
	}
	st.reason = reason
	st.events.Send(control.Event{Kind: control.Waiting, Step: st.name, Detail: reason})
}

// until looks at a condition again and again until it waits for nothing more.
// A condition says what it is waiting for, or nothing.
func (st *step) until(ctx context.Context, condition func(ctx context.Context) string) error {
	for {
		reason := condition(ctx)
		if reason == "" {
			return nil
		}
		st.waitFor(reason)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollInterval):
		}
	}
}

// lateError means that the cluster was not ready in time.
type lateError struct{ limit time.Duration }

func (e *lateError) Error() string {
	return fmt.Sprintf("the cluster was not ready after %v (--wait allows more)", e.limit)
}

// explain adds to an error what it was that came too late.
func (st *step) explain(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	var late *lateError
	switch {
	case cause == nil:
		return fmt.Errorf("%s: %w", st.name, err)
	case errors.As(cause, &late):
		st.mu.Lock()
		defer st.mu.Unlock()
		return fmt.Errorf("%w: still waiting for %s: %s", late, st.name, st.reason)
	default:
		return cause // the request that it cut off only says "context canceled"
	}
}
