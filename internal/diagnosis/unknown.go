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
	"fmt"
	"slices"
)

// necessary are the checks without which nothing can be said.
var necessary = []Check{CheckService, CheckAddresses, CheckSelector, CheckReadiness, CheckPorts, CheckFamilies, CheckSlices}

// EndpointsKnown tells whether enough was seen to say that the Service has
// endpoints. What else could not be seen is then named, and no more.
func (r *Report) EndpointsKnown() bool { return len(decisive(r.Steps)) == 0 }

// decisive are the unknown steps without which nothing can be said.
func decisive(steps []Step) []Step {
	return slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return s.State != Unknown || !slices.Contains(necessary, s.Check) })
}

// unknownVerdict is that of a Service with which nothing wrong was seen, and not
// everything looked at.
func unknownVerdict(f *Facts, steps []Step, v Verdict) Verdict {
	if lacking := decisive(steps); len(lacking) > 0 {
		v.Check, v.Reason = lacking[0].Check, lacking[0].Reason
		v.Sentence = fmt.Sprintf("Whether Service %s answers can not be said: %s.", f.Name, enumerate(unknowns(lacking), maxNames))
		return v
	}
	who, lacking := "", unknowns(steps)
	if f.ClientUnseen != nil {
		who, lacking = " for anybody", slices.Insert(lacking, 0, clientUnseen(f.ClientUnseen))
	}
	v.Sentence = fmt.Sprintf("Nothing wrong was seen with Service %s%s, but %s.", f.Name, who, enumerate(lacking, maxNames))
	return v
}

// unknowns are what could not be found out, a clause each: kinds that could not be
// read for the same reason have one together.
func unknowns(steps []Step) []string {
	var clauses []string
	kinds := map[string][]Kind{}
	for _, step := range steps {
		if step.State == Unknown && step.kind != "" && !slices.Contains(kinds[step.why], step.kind) {
			kinds[step.why] = append(kinds[step.why], step.kind)
		}
	}
	for _, step := range steps {
		clause := step.Message
		if step.kind != "" {
			clause = fmt.Sprintf("%s could not be read: %s", enumerate(kinds[step.why], len(necessary)), step.why)
		}
		if step.State == Unknown && !slices.Contains(clauses, clause) {
			clauses = append(clauses, clause)
		}
	}
	return clauses
}

// clientUnseen is a clause.
func clientUnseen(client *ClientName) string {
	what := "whose address " + client.Address + " is could not be seen"
	if client.Pod != nil {
		what = "pod " + client.Pod.String() + ", which was asked for, could not be read"
	}
	return what + " (" + quote(client.Unseen) + ")"
}
