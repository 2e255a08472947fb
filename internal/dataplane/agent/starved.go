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

package agent

import (
	"context"
	"fmt"
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// reportStarved tells of ServicePorts that the table has no room for, once each.
// starved, sorted, are all of them; the others are served as ever.
func (l *lane) reportStarved(ctx context.Context, starved []model.ServicePortName) {
	var problems []model.Problem
	for _, name := range starved {
		if _, known := slices.BinarySearchFunc(l.starved, name, model.ServicePortName.Compare); !known {
			problems = append(problems, model.Problem{
				Object: l.decider.object(serviceOf(name)), Field: "spec.ports",
				Reason: fmt.Sprintf("%s port %q of %s is not served, all %d ids for lists of endpoints are in use", name.Protocol, name.Port, l.family, ruleset.IDMask),
				Remedy: "delete Services that no one needs",
			})
		}
	}
	if l.starved = starved; len(problems) > 0 {
		l.decider.report(ctx, problems)
	}
}
