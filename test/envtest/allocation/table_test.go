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

package allocation

import (
	. "github.com/onsi/ginkgo/v2"
)

// The table of docs/allocation.md: every row on a real API server, three times.
// In one container the order is that of the lines: the small cluster has its
// rows before it grows, and what takes the server a while is looked at last.
var _ = Describe("allocation", func() {
	Describe("with one family and small ranges", func() {
		inEveryMode(small, func(s *scene) {
			full(s)
			singleStack(s)
		})
	})
	Describe("when another API server starts", func() { starts() })
	Describe("with one family more and fewer ports", func() {
		inEveryMode(grown, func(s *scene) {
			growth(s)
			quotaReturns(s)
			leavingRanges(s)
		})
	})
	Describe("with two families", func() {
		inEveryMode(dual, func(s *scene) {
			addresses(s)
			ports(s)
			healthChecks(s)
			updates(s)
			types(s)
			families(s)
			dryRuns(s)
			releases(s)
			repairs(s)
			serviceCIDRs(s)
			rangesBeside(s)
			quotas(s)
			counters(s)
			weaknesses(s)
			reports(s)
			if !s.stock() {
				tenants(s)
				absence(s)
			}
		})
	})
	Describe("after a while", func() {
		orphans(dual)
		rangesThatLeft(grown)
	})
})
