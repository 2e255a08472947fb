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

package localcluster

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"switchyard.dev/switchyard/internal/localcluster/control"
)

// quiet is how long a step may take before its wait is shown in a log.
const quiet = 5 * time.Second

// progress shows how a cluster starts: a line per step that is done, and what
// is being waited for, in place on a terminal, and every now and then in a log.
type progress struct {
	out      io.Writer
	terminal bool
	now      func() time.Time

	mu      sync.Mutex
	began   time.Time
	pending []*pendingStep
	shown   bool // a line about waiting is on the screen
}

type pendingStep struct {
	name, reason string
	told         time.Time
}

func newProgress(out io.Writer, terminal bool) *progress {
	return &progress{out: out, terminal: terminal, now: time.Now, began: time.Now()}
}

// show takes note of an event.
func (p *progress) show(event control.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch event.Kind {
	case control.Started:
		p.pending = append(p.pending, &pendingStep{name: event.Step, told: p.now()})
	case control.Waiting:
		for _, step := range p.pending {
			if step.name == event.Step {
				step.reason = event.Detail
			}
		}
	case control.Done:
		p.pending = slices.DeleteFunc(p.pending, func(s *pendingStep) bool { return s.name == event.Step })
		p.clear()
		_, _ = fmt.Fprintf(p.out, "  %-34s %6s\n", event.Step, seconds(event.Elapsed))
	}
	p.refresh()
}

// tick shows what is being waited for until done is closed.
func (p *progress) tick(done <-chan struct{}) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			p.mu.Lock()
			defer p.mu.Unlock()
			p.clear()
			return
		case <-ticker.C:
			p.mu.Lock()
			p.refresh()
			p.mu.Unlock()
		}
	}
}

func (p *progress) refresh() {
	if len(p.pending) == 0 {
		return
	}
	if p.terminal {
		p.clear()
		first := p.pending[0]
		_, _ = fmt.Fprintf(p.out, "  waiting for %.110s (%s)", first.describe(len(p.pending)-1), seconds(p.now().Sub(p.began)))
		p.shown = true
		return
	}
	for _, step := range p.pending {
		if p.now().Sub(step.told) >= quiet {
			step.told = p.now()
			_, _ = fmt.Fprintf(p.out, "  waiting for %s (%s so far)\n", step.describe(0), seconds(p.now().Sub(p.began)))
		}
	}
}

func (p *progress) clear() {
	if p.shown {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

func (s *pendingStep) describe(others int) string {
	text := s.name
	if others > 0 {
		text += fmt.Sprintf(" and %d more", others)
	}
	if s.reason != "" {
		text += ": " + s.reason
	}
	return text
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
