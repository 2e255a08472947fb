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

package audit

import (
	"slices"
	"time"

	"switchyard.dev/switchyard/internal/inventory"
)

// Report is the answer: what is wrong, and what could not be looked at.
type Report struct {
	Findings []Finding          `json:"findings"`
	NotRead  []inventory.Unread `json:"notRead"`
}

// Partial tells that there is more to look at than the user may read. What the
// cluster does not serve is not missing.
func (r Report) Partial() bool {
	return slices.ContainsFunc(r.NotRead, func(u inventory.Unread) bool { return u.Reason == inventory.Forbidden })
}

// grace is how old an object that stands for a number has to be before it counts
// as left behind: as long as a request may take, which is also when the API
// server's own repair deletes an IPAddress without a Service.
const grace = time.Minute

// Run looks at everything. Now is for the age of claims and orphans. A check
// that needs a kind that was not read is left out.
func Run(x *inventory.Index, now time.Time) Report {
	a := auditor{Index: x, now: now}
	a.numbers()
	a.frontends()
	a.endpoints()
	if x.Has(inventory.Namespaces) {
		a.foreignPools()
	}
	a.claims()
	a.reservations()
	a.pools()
	// Without all Services it can not be known who is missing.
	if x.Has(inventory.Services) {
		a.whatIsMissing()
	}
	a.unreadable()
	slices.SortFunc(a.found, Finding.order)
	return Report{Findings: slices.Clip(append([]Finding{}, a.found...)), NotRead: append([]inventory.Unread{}, x.Unread...)}
}

func (a *auditor) whatIsMissing() {
	if a.Has(inventory.IPAddresses) {
		a.ipAddresses()
	}
	a.placeholders()
	a.ranges()
}

// auditor collects findings.
type auditor struct {
	*inventory.Index
	now   time.Time
	found []Finding
}

func (a *auditor) find(f Finding) { a.found = append(a.found, f) }

// young tells what may still be on its way.
func (a *auditor) young(created time.Time) bool { return a.now.Sub(created) < grace }

// Confirm keeps of the findings those that a later look has as well. The kinds
// of objects are read beside each other while the cluster goes on working: what
// is only half made at one look is whole, or gone, at the next.
func (r Report) Confirm(later Report) Report {
	r.Findings = slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool {
		return !slices.ContainsFunc(later.Findings, func(l Finding) bool {
			return l.Kind == f.Kind && l.Number == f.Number && slices.Equal(l.Objects, f.Objects)
		})
	})
	return r
}
