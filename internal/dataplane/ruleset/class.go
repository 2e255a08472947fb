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

import "math/bits"

// Class is how a list is drawn from, a number of ten bits that Classes leads to
// a chain. It is data of a route rather than a verdict of its own, because the
// kernel checks all verdicts again for each new one.
type Class uint32

// The classes. Those of 32 and above are made when they are needed.
const (
	// noLocalEndpoint drops: there are endpoints, but not where the traffic
	// policy wants them.
	noLocalEndpoint Class = 0
	// firstPick draws from one slot, the next from two, four and so on.
	firstPick Class = 1
	lastPick  Class = 17
	// leaveUntranslated lets a packet pass that the filter hooks refuse.
	leaveUntranslated Class = 18
	// firstMaglev uses the smallest Maglev tables, the next the next larger.
	firstMaglev Class = 19
)

// fixedClasses are the classes of every table and their chains.
func fixedClasses() map[Class]string {
	all := map[Class]string{noLocalEndpoint: "no-local-endpoint", leaveUntranslated: "leave-untranslated"}
	for c := firstPick; c <= lastPick; c++ {
		all[c] = pickName(c.slots())
	}
	for _, size := range maglevSizes {
		all[maglevClass(size)] = maglevName(size)
	}
	return all
}

// key is c as a key of Classes.
func (c Class) key() string { return number(route(0, c)) }

// pickClass draws from so many slots, a power of two.
func pickClass(slots uint32) Class { return Class(bits.Len32(slots)) }

// slots is how many slots c draws from, 0 if it is no pick class.
func (c Class) slots() uint32 {
	if c < firstPick || c > lastPick {
		return 0
	}
	return 1 << (c - firstPick)
}
