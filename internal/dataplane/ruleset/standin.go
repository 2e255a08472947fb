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
)

// StandIn is the same table under another name. It comes right after s at every
// hook, so it sees what s lets pass, and nothing while s is complete.
func (s *Schema) StandIn() *Schema {
	later := *s
	later.Name = StandInName
	later.Chains = slices.Clone(s.Chains)
	for i, c := range s.Chains {
		if c.Hook != nil {
			later.Chains[i].Hook = c.Hook.next()
		}
	}
	return &later
}

// next is right after h.
func (h Hook) next() *Hook {
	text := h.PriorityText + " + 1"
	if h.PriorityText == fmt.Sprint(h.Priority) {
		text = fmt.Sprint(h.Priority + 1)
	}
	return &Hook{h.Type, h.Point, h.Priority + 1, text}
}
