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

// Text is the table as nft would list it, but with the names of ServicePorts
// in place of ids, endpoints in the order of their addresses rather than
// slots, the class that a cold start would choose, and everything sorted: two
// ways to the same state have one text.
func (p *Planner) Text(s *Schema) string {
	byID := map[uint32]*servicePort{}
	for _, sp := range p.ports {
		byID[sp.id] = sp
	}
	elements := p.Elements()
	return s.TextWith(func(set Set) []string {
		var lines []string
		for _, e := range elements.Sorted(set.Name) {
			lines = append(lines, namedText(s, e, byID))
		}
		slices.Sort(lines)
		return lines
	})
}

func namedText(s *Schema, e Element, byID map[uint32]*servicePort) string {
	switch e.Set {
	case StickyChains:
		return e.Key
	case Endpoints:
		protocol, id, _, _ := readEndpointKey(e.Key)
		endpoint, _ := readEndpointData(e.Data)
		return fmt.Sprintf("%s . %s : %s . %d", printProtocol([]byte{byte(protocol)}), byID[id].decision.Name, endpoint.Addr(), endpoint.Port())
	case Frontends, NodePorts:
		set, _ := s.Set(e.Set)
		sp := byID[readNumber(e.Data)&IDMask]
		return fmt.Sprintf("%s : %s of %s", set.Key.print(s.Family, e.Key), pickName(nextClass(0, len(sp.slots))), sp.decision.Name)
	}
	return s.ElementText(e)
}
