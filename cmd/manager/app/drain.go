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

package app

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

const (
	// drainQuiet is how long nobody has to ask before the webhooks end.
	drainQuiet = 500 * time.Millisecond
	// drainLimit is for those who always find the way back here: one replica has
	// nobody else to lead them to.
	drainLimit = 5 * time.Second
	// drainIdle is when the server closes connections that nobody asks on.
	drainIdle = 90 * time.Second
)

// drainingServer ends without a change that is not judged. API servers keep their
// connections to a replica long after it has left the endpoints, and ask on them: what
// is being judged when the server stops would be cancelled with it, and what is sent
// while it closes the connection would be lost. Both let the change pass. So it first
// asks who comes to connect anew, which leads to another replica, and ends once
// nobody comes any more.
type drainingServer struct {
	webhook.Server
	drained sync.Once
	ending  atomic.Bool
	serving atomic.Pointer[context.Context]

	mu    sync.Mutex
	asked time.Time     // the last time
	ended chan struct{} // closed after Start; nil before
}

// Start implements manager.Runnable. A manager that has lost its lease ends what it
// runs at once and waits for nothing, as others may lead. Who asks the webhooks has
// nothing to do with that: they outlive the context until they are drained, and judge
// by what the caches have got to know.
func (s *drainingServer) Start(ctx context.Context) error {
	s.mu.Lock()
	s.ended = make(chan struct{})
	s.mu.Unlock()
	defer close(s.ended)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() {
		s.drain()
		stop()
	})()
	s.serving.Store(&serving)
	return s.Server.Start(serving)
}

// wait returns when the server has ended, if it has ever started.
func (s *drainingServer) wait() {
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

// Register implements webhook.Server.
func (s *drainingServer) Register(path string, hook http.Handler) {
	s.Server.Register(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.note(time.Now())
		if s.ending.Load() {
			w.Header().Set("Connection", "close")
		}
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		defer context.AfterFunc(r.Context(), func() {
			if !s.stopped() {
				cancel() // it is the caller who has left
			}
		})()
		hook.ServeHTTP(w, r.WithContext(ctx))
	}))
}

// stopped tells that the context of all requests has ended.
func (s *drainingServer) stopped() bool {
	serving := s.serving.Load()
	return serving != nil && (*serving).Err() != nil
}

func (s *drainingServer) note(asked time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = asked
}

func (s *drainingServer) lastAsked() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// drain leads away those who ask, and returns once nobody does. Where nobody can have
// a connection it returns at once.
func (s *drainingServer) drain() { s.drained.Do(s.leadAway) }

func (s *drainingServer) leadAway() {
	s.ending.Store(true)
	began := time.Now()
	last := s.lastAsked()
	if last.IsZero() || began.Sub(last) > drainIdle {
		return
	}
	last = began
	for limit := began.Add(drainLimit); ; {
		wait := min(time.Until(last.Add(drainQuiet)), time.Until(limit))
		if wait <= 0 {
			return
		}
		time.Sleep(wait)
		if asked := s.lastAsked(); asked.After(last) {
			last = asked
		}
	}
}

// drainedAfter is a context that ends when the server is drained, after the given one.
// Until then all that judging rests on goes on: indexes, caches and the leader's work.
func (s *drainingServer) drainedAfter(ctx context.Context) (context.Context, context.CancelFunc) {
	drained, cancel := context.WithCancel(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() {
		s.drain()
		cancel()
	})
	return drained, func() { forget(); cancel() }
}
