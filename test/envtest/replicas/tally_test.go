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
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// tally counts answers by kind, and keeps those that nobody should get.
type tally struct {
	ledger *ledger

	mu     sync.Mutex
	counts map[string]int
	wrong  []string
	// claims are answers that name a holder, collisions those that do not: they
	// are judged when all is known.
	claims     []claim
	collisions []collision
	judged     int // of the collisions, those where a replica has answered
}

type claim struct {
	port     int32
	service  string // empty where the answer does not say
	from, to time.Time
	text     string
}

// answer is what one request was about.
type answer struct {
	service string
	asked   []int32 // ports by number that the Service did not have
	sent    time.Time
	heard   *hearing
}

// collision is a refusal in the server's words.
type collision struct {
	answer
	port    int32 // 0 for an address
	arrived time.Time
}

// namesHolder also reads the answer to somebody whose rights could not be asked
// for, because the replica died: it has no name.
var namesHolder = regexp.MustCompile(`Invalid value: (\d+): held by (?:Service default/([a-z0-9-]+)|another Service of this namespace);`)

func (t *tally) count(what string, err error, a answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.counts[what+" done"]++
		return
	}
	text := err.Error()
	matches := namesHolder.FindAllStringSubmatch(text, -1)
	switch {
	case len(matches) > 0:
		t.counts[what+" refused: held by"]++
		for _, match := range matches {
			var port int32
			_, _ = fmt.Sscan(match[1], &port)
			t.claims = append(t.claims, claim{port, match[2], a.sent, time.Now(), text})
		}
	case strings.Contains(text, "no number is free in") || strings.Contains(text, "range is full"):
		t.counts[what+" refused: full"]++
	case fromServer.MatchString(text):
		t.counts[what+" refused by the server: already allocated"]++
		c := collision{answer: a, arrived: time.Now()}
		_, _ = fmt.Sscan(fromServer.FindStringSubmatch(text)[1], &c.port)
		t.collisions = append(t.collisions, c)
	default:
		t.counts[what+" failed"]++
		t.wrong = append(t.wrong, text)
	}
}

// fromServer has the port, if it is one.
var fromServer = regexp.MustCompile(`(?:Invalid value: (\d+): provided port|provided IP) is already allocated`)

// verdict judges what could not be judged before all was known.
func (t *tally) verdict() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	wrong := t.wrong
	for _, c := range t.claims {
		switch t.ledger.judge(c) {
		case unknown:
			t.counts["(of these, about a number that a request under way may have had)"]++
		case untrue:
			wrong = append(wrong, fmt.Sprintf("not true of port %d: %s", c.port, c.text))
		}
	}
	for _, c := range t.collisions {
		why := t.ledger.causeOf(c)
		t.counts[fmt.Sprintf("(server: %s)", why)]++
		if why.judged() {
			t.judged++
		}
		if why.impossible() {
			wrong = append(wrong, fmt.Sprintf("of port %d the server said that it is taken, which a replica should have: %s", c.port, why))
		}
	}
	return wrong
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	total := 0
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		lines = append(lines, fmt.Sprintf("%6d %s", t.counts[what], what))
		if !strings.HasPrefix(what, "(") {
			total += t.counts[what]
		}
	}
	percent := func(n int) float64 { return float64(100*n) / float64(total) }
	lines = append(lines, fmt.Sprintf("%6d operations, %.2f %% refused in the server's words, %.2f %% where a replica had judged", total,
		percent(len(t.collisions)), percent(t.judged)))
	return strings.Join(lines, "\n")
}
