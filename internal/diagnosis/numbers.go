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

import "cmp"

// conflicts is about numbers that others have, too.
func (e *examination) conflicts() Step {
	if e.externalName() {
		return Step{}
	}
	step := Step{State: OK, Message: "no other Service has its addresses or ports"}
	if numberFindings(e.Numbers, false, &step) {
		return step
	}
	if why, unseen := e.unseen(Numbers); unseen {
		return Step{State: Unknown, Reason: NotSeen, Message: "whether others have its addresses or ports could not be seen: " + why}
	}
	return step
}

// numberFindings make a step of the first finding and details of the others.
// One that tells of an error comes before one that does not.
func numberFindings(all []NumberFinding, unallocated bool, step *Step) bool {
	var found []NumberFinding
	for _, finding := range all {
		if finding.Unallocated == unallocated {
			found = append(found, finding)
		}
	}
	if len(found) == 0 {
		return false
	}
	worst := 0
	for i, finding := range found {
		if finding.Error && !found[worst].Error {
			worst = i
		}
	}
	*step = Step{State: Warning, Reason: Reason(cmp.Or(found[worst].Reason, string(NumberWrong))), Remedy: found[worst].Remedy,
		Message: cmp.Or(found[worst].Message, "something is wrong with "+found[worst].Number)}
	if found[worst].Error {
		step.State = Problem
	}
	for i, finding := range found {
		if i != worst {
			step.Details = append(step.Details, finding.Message)
		}
	}
	return true
}
