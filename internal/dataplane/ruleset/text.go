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

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// Text is the table as nft would list it, but with the names of ServicePorts
// in place of ids, endpoints in the order of their addresses rather than
// slots, the class that a cold start would choose, and everything sorted: two
// ways to the same state have one text.
func (p *Planner) Text(s *Schema) string {
	byID := p.lists()
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

func namedText(s *Schema, e Element, byID map[uint32]namedList) string {
	switch e.Set {
	case Endpoints:
		protocol, id, _, _ := readEndpointKey(e.Key)
		endpoint, _ := readEndpointData(e.Data)
		return fmt.Sprintf("%s . %s : %s . %d", printProtocol([]byte{byte(protocol)}), byID[id], endpoint.Addr(), endpoint.Port())
	case Frontends, NodePorts:
		set, _ := s.Set(e.Set)
		return set.Key.print(s.Family, e.Key) + " : " + routeText(readNumber(e.Data), byID)
	case Sticky:
		protocol, port, pin, _ := readStickyKey(e.Key)
		endpoint, _ := readEndpointData(e.Data)
		return fmt.Sprintf("%s . %d . %s : %s . %d", printProtocol([]byte{byte(protocol)}), port, byID[pin&IDMask], endpoint.Addr(), endpoint.Port())
	case Draws:
		n := readNumber(e.Data)
		l := byID[n&IDMask]
		return fmt.Sprintf("%s : %s", l, l.pins().byNumber[n>>idBits])
	case Spreads:
		l := byID[readNumber(e.Key)]
		return fmt.Sprintf("%s : %s", l, drawName(nextClass(0, len(l.pins().draws))))
	case Classes:
		if _, onDemand := stickyTimeout(e.Data); onDemand {
			return "any : goto " + e.Data
		}
	case ClusterRoutes:
		return byID[readNumber(e.Key)].String() + " : " + routeText(readNumber(e.Data), byID)
	}
	return s.ElementText(e)
}

// namedList is a list and whose it is.
type namedList struct {
	*list
	name  model.ServicePortName
	scope policy.Scope
}

// String is like "default/web:http/TCP", with the list if it is not the usual
// one.
func (l namedList) String() string {
	if l.scope == policy.LocalScope {
		return l.name.String() + " (local)"
	}
	return l.name.String()
}

// lists are all lists by id.
func (p *Planner) lists() map[uint32]namedList {
	byID := make(map[uint32]namedList, len(p.ports))
	for name, sp := range p.ports {
		for scope, l := range []*list{&sp.cluster, &sp.local} {
			if other, ok := byID[l.id]; !ok || name.Compare(other.name) < 0 {
				byID[l.id] = namedList{l, name, policy.Scope(scope)}
			}
		}
	}
	delete(byID, 0)
	return byID
}

// ListOf says whose list has the id, and which of its two it is; ok is false if
// none has it.
func (p *Planner) ListOf(id uint32) (name model.ServicePortName, scope policy.Scope, ok bool) {
	l, ok := p.lists()[id]
	return l.name, l.scope, ok
}

func routeText(route uint32, byID map[uint32]namedList) string {
	class := routeClass(route)
	l, ok := byID[route&IDMask]
	if ok && class.slots() > 0 {
		class = pickClass(nextClass(0, len(l.slots)))
	}
	text := fixedClasses()[class]
	if class >= firstTimeout {
		text = stickyName(l.pins().timeout)
	}
	if ok {
		text += " of " + l.String()
	}
	if route&externalLocalFlag != 0 {
		text = "external-local, " + text
	}
	if route&restrictedFlag != 0 {
		text = "restricted, " + text
	}
	return text
}
