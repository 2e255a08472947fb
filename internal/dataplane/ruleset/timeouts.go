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

package ruleset

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The classes of affinity timeouts: class numbers that come and go.
const (
	firstTimeout Class = 32
	lastTimeout  Class = 1023
)

// stickyPrefix begins the name of a chain that keeps clients with their
// endpoints; the rest is the timeout in seconds.
const stickyPrefix = "sticky-"

func stickyName(timeout time.Duration) string {
	return fmt.Sprintf("%s%d", stickyPrefix, int64(timeout/time.Second))
}

// stickyTimeout is the inverse of stickyName.
func stickyTimeout(name string) (timeout time.Duration, ok bool) {
	digits, ok := strings.CutPrefix(name, stickyPrefix)
	seconds, err := strconv.ParseUint(digits, 10, 31)
	timeout = time.Duration(seconds) * time.Second
	return timeout, ok && err == nil && timeout > 0 && stickyName(timeout) == name
}

// timeoutText is a timeout as nft writes it: 1d2h3m4s without what is zero.
func timeoutText(timeout time.Duration) string {
	var b strings.Builder
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if n := timeout / unit.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, unit.name)
			timeout -= n * unit.size
		}
	}
	return b.String()
}

// timeouts numbers the affinity timeouts in use. Each has a class and a chain
// of its own, because a timeout is a constant in a rule; of the 86,400 that
// are possible most clusters use one.
type timeouts map[time.Duration]*timeoutClass

type timeoutClass struct {
	class Class
	users int
	// held is true once the chain is planned.
	held bool
}

// take counts a user of timeout and says whose chain it gets. When all classes
// are taken that is the next longer timeout, or the longest: rather too long
// with an endpoint than too short.
func (t timeouts) take(timeout time.Duration) (actual time.Duration) {
	if t[timeout] == nil {
		if class := t.unused(); class != 0 {
			t[timeout] = &timeoutClass{class: class}
		} else {
			timeout = t.nextLonger(timeout)
		}
	}
	t[timeout].users++
	return timeout
}

// giveBack uncounts a user of what take gave; of 0 there is none.
func (t timeouts) giveBack(actual time.Duration) {
	if c := t[actual]; c != nil {
		c.users--
	}
}

// unused is the lowest class without a timeout, 0 if there is none.
func (t timeouts) unused() Class {
	var taken [lastTimeout + 1]bool
	for _, c := range t {
		taken[c.class] = true
	}
	if at := slices.Index(taken[firstTimeout:], false); at >= 0 {
		return firstTimeout + Class(at)
	}
	return 0
}

func (t timeouts) nextLonger(timeout time.Duration) time.Duration {
	longer, longest := time.Duration(0), time.Duration(0)
	for other := range t {
		longest = max(longest, other)
		if other > timeout && (longer == 0 || other < longer) {
			longer = other
		}
	}
	if longer != 0 {
		return longer
	}
	return longest
}

// adopt takes over the timeouts whose chain and class the kernel holds.
func (t timeouts) adopt(held Elements) {
	for k, chain := range held[Classes] {
		class := routeClass(readNumber(k))
		timeout, ok := stickyTimeout(chain)
		if _, exists := held[StickyChains][chain]; ok && exists && t[timeout] == nil && class.key() == k && class >= firstTimeout {
			t[timeout] = &timeoutClass{class: class}
		}
	}
}

// elements are the chains in use and the classes that lead to them.
func (t timeouts) elements() []Element {
	var list []Element
	for timeout, c := range t {
		if c.users > 0 {
			list = append(list, c.elements(timeout)...)
		}
	}
	return list
}

func (c *timeoutClass) elements(timeout time.Duration) []Element {
	name := stickyName(timeout)
	return []Element{{Set: StickyChains, Key: name}, {Classes, c.class.key(), name}}
}

// settle forgets what has no users any more, and lists the edits that this and
// new timeouts ask for since it was last called.
func (t timeouts) settle() []Edit {
	var edits []Edit
	for timeout, c := range t {
		inUse := c.users > 0
		if inUse != c.held {
			operation := Add
			if c.held {
				operation = Delete
			}
			for _, e := range c.elements(timeout) {
				edits = append(edits, Edit{Operation: operation, Element: e})
			}
		}
		c.held = inUse
		if !inUse {
			delete(t, timeout)
		}
	}
	return edits
}
