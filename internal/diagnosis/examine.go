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

package diagnosis

import (
	"maps"
	"slices"
)

// examination is one run of the checks.
type examination struct {
	*Facts
	// steps are those made so far.
	steps []Step
}

// checks are the steps of the chain, in order.
var checks = []struct {
	name Check
	// check returns no state if it means nothing for the Service.
	check func(*examination) Step
	// after are checks whose problems this one could only repeat: it is left out
	// then, so that a cause is not reported once more as its own consequence.
	after []Check
}{
	{name: CheckService, check: (*examination).service},
}

// Examine makes the checks. It never fails: what is missing in the facts is
// said in the report.
func Examine(f *Facts) *Report {
	e := &examination{Facts: f}
	for _, c := range checks {
		if f.Service == nil && c.name != CheckService || slices.ContainsFunc(c.after, e.failed) {
			continue
		}
		if step := c.check(e); step.State != "" {
			step.Check = c.name
			step.Details = boundedList(step.Details, maxDetails)
			e.steps = append(e.steps, step)
		}
	}
	unseen := slices.Sorted(maps.Values(f.Unseen))
	return &Report{Service: f.Name, Steps: e.steps, Verdict: verdict(f, e.steps), Unseen: slices.Compact(unseen)}
}

func (e *examination) failed(check Check) bool {
	return slices.ContainsFunc(e.steps, func(s Step) bool { return s.Check == check && s.State == Problem })
}
