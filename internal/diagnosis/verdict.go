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
	"cmp"
	"fmt"
	"slices"
)

// verdict is the first of the worst steps: causes come before what follows from
// them.
func verdict(f *Facts, steps []Step) Verdict {
	worst := worstOf(steps)
	v := Verdict{State: cmp.Or(worst.State, OK), Reason: worst.Reason, Check: worst.Check}
	name := f.Name.String()
	switch {
	case v.State == OK && f.ClientUnseen != nil:
		v.State, v.Reason, v.Check = Unknown, NotSeen, ""
		v.Sentence = fmt.Sprintf("Nothing wrong was seen with Service %s for anybody, but %s.", name, clientUnseen(f.ClientUnseen))
	case v.State == OK:
		v.Check, v.Sentence = "", fmt.Sprintf("Service %s answers%s.", name, provided(steps))
	case v.Check == CheckService && f.Service == nil:
		v.Sentence = sentence(worst.Message + andThen(worst.Remedy))
	case v.State == Unknown:
		return unknownVerdict(f, steps, v)
	case v.State == Warning && worst.Provided != "":
		v.Sentence = fmt.Sprintf("Service %s answers only if %s: %s%s.", name, worst.Provided, worst.Message, andThen(worst.Remedy))
	case v.State == Warning:
		v.Sentence = fmt.Sprintf("Service %s answers, but %s%s.", name, worst.Message, andThen(worst.Remedy))
	default:
		v.Sentence = fmt.Sprintf("Service %s does not answer: %s%s%s.", name, worst.Message, andThen(worst.Remedy), andMore(steps))
	}
	return v
}

// provided is what an answer depends on that nothing tells.
func provided(steps []Step) string {
	for _, step := range steps {
		if step.Provided != "" {
			return ", provided that " + step.Provided
		}
	}
	return ""
}

// worstOf is the first of the worst.
func worstOf(steps []Step) Step {
	var worst Step
	for _, step := range steps {
		if gravity(step.State) > gravity(worst.State) {
			worst = step
		}
	}
	return worst
}

// andMore counts the problems that the sentence has no room for.
func andMore(steps []Step) string {
	n := -1 // the one that it is about
	for _, step := range steps {
		if step.State == Problem {
			n++
		}
	}
	if n < 1 {
		return ""
	}
	return fmt.Sprintf(" (and %s)", counted(n, "other problem"))
}

func andThen(remedy string) string {
	if remedy == "" {
		return ""
	}
	return "; " + remedy
}

func gravity(s State) int { return slices.Index([]State{"", OK, Unknown, Warning, Problem}, s) }
