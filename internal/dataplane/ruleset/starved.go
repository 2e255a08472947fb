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
	"maps"
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// starved says whether a list of sp got no id, because all are in use. Who comes
// for it is dropped; all others are served as ever.
func (sp *servicePort) starved() bool {
	return usesCluster(sp.decision) && sp.cluster.id == 0 || usesLocal(sp.decision) && sp.local.id == 0
}

// withStarved are changed, with as many of those that wait for an id as may find
// one now.
func (p *Planner) withStarved(changed []policy.Decision, removed []model.ServicePortName) []policy.Decision {
	left := p.ids.left()
	if len(p.starved) == 0 || left == 0 {
		return changed
	}
	all := slices.Clip(changed)
	for _, name := range p.starving() {
		named := func(d policy.Decision) bool { return d.Name == name }
		if left > 0 && !slices.ContainsFunc(changed, named) && !slices.Contains(removed, name) {
			all = append(all, *p.ports[name].decision)
			left--
		}
	}
	return all
}

// starving names those that wait for an id, in order.
func (p *Planner) starving() []model.ServicePortName {
	if len(p.starved) == 0 {
		return nil
	}
	return slices.SortedFunc(maps.Keys(p.starved), model.ServicePortName.Compare)
}
