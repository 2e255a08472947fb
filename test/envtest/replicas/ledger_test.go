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

package replicas

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// span is a time in which a Service may have held a port: from before the
// request that asked for it was sent until after it was given up. In between it
// is known to hold it: from the answer on until the request that gives it up.
type span struct {
	service        string
	from, to       time.Time // to is zero while it lasts
	known, leaving time.Time // leaving is zero until it is to be given up
	judged         bool      // by a replica, and not by the server alone
}

// ledger is what the clients know of who holds what.
type ledger struct {
	mu      sync.Mutex
	holders map[int32]string // acknowledged, and not being given up
	spans   map[int32][]span
	// trying are Services that were being written, whatever port they got.
	trying []span
	wrong  []string
}

func newLedger() *ledger { return &ledger{holders: map[int32]string{}, spans: map[int32][]span{}} }

// got books the ports that an answer says a Service has.
func (l *ledger) got(a answer, ports ...int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, port := range ports {
		if holder, held := l.holders[port]; held && holder != a.service {
			l.wrong = append(l.wrong, fmt.Sprintf("port %d was given to %s while %s had it", port, a.service, holder))
		}
		if l.holders[port] == a.service {
			continue
		}
		l.holders[port] = a.service
		l.spans[port] = append(l.spans[port], span{service: a.service, from: a.sent, known: time.Now(), judged: a.heard.judged()})
	}
}

// keeps books that a request which was to give ports up has failed.
func (l *ledger) keeps(service string, ports ...int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, port := range ports {
		if s := l.open(service, port); s != nil {
			l.holders[port], s.leaving = service, time.Time{}
		}
	}
}

func (l *ledger) open(service string, port int32) *span {
	for i := range l.spans[port] {
		if s := &l.spans[port][i]; s.service == service && s.to.IsZero() {
			return s
		}
	}
	return nil
}

// givingUp comes before the request that gives a port up, gaveUp after it.
func (l *ledger) givingUp(service string, ports ...int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, port := range ports {
		if l.holders[port] == service {
			delete(l.holders, port)
		}
		if s := l.open(service, port); s != nil {
			s.leaving = time.Now()
		}
	}
}

func (l *ledger) gaveUp(service string, ports ...int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, port := range ports {
		if s := l.open(service, port); s != nil {
			s.to = time.Now()
		}
	}
}

// tried books a request that is over: until then others may have been told that
// a port is its Service's.
func (l *ledger) tried(service string, sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trying = append(l.trying, span{service: service, from: sent, to: time.Now()})
}

// truth is what the ledger says of an answer.
type truth int

const (
	untrue truth = iota
	// unknown: a Service that was being written at that time may have had the port.
	unknown
	proven
)

// judge says whether an answer that names a holder, or says at least that there
// is one, was true at some moment of its request.
func (l *ledger) judge(c claim) truth {
	l.mu.Lock()
	defer l.mu.Unlock()
	overlaps := func(s span) bool {
		return (c.service == "" || s.service == c.service) && s.from.Before(c.to) && (s.to.IsZero() || s.to.After(c.from))
	}
	switch {
	case slices.ContainsFunc(l.spans[c.port], overlaps):
		return proven
	case slices.ContainsFunc(l.trying, overlaps):
		return unknown
	}
	return untrue
}

// taken is how many ports a Service holds, one that is being deleted too, or a
// replica has claimed for one.
func (l *ledger) taken(claimed []int32) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	ports := map[int32]bool{}
	for _, port := range claimed {
		ports[port] = true
	}
	for port, spans := range l.spans {
		if slices.ContainsFunc(spans, func(s span) bool { return s.to.IsZero() }) {
			ports[port] = true
		}
	}
	return len(ports)
}

func (l *ledger) faults() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(slices.Sorted(maps.Keys(set(l.wrong))), "\n")
}

func set(texts []string) map[string]bool {
	all := map[string]bool{}
	for _, text := range texts {
		all[text] = true
	}
	return all
}
