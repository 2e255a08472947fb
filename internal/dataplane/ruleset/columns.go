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
	"encoding/binary"
	"net/netip"
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// placed is a list, with what of its ServicePort is in its elements.
type placed struct {
	*list
	protocol model.Protocol
	// ports are those that clients send to.
	ports []uint16
	// shared is true if other ServicePorts have the list's id, too.
	shared bool
}

// lists are Cluster and Local.
func (sp *servicePort) lists() [2]placed {
	d := sp.decision
	ports := []uint16{d.Port}
	if d.NodePort != 0 && d.NodePort != d.Port {
		ports = append(ports, d.NodePort)
	}
	return [2]placed{{&sp.cluster, d.Name.Protocol, ports, shares(d)}, {&sp.local, d.Name.Protocol, ports, shares(d)}}
}

// private are the elements of l that no other ServicePort has.
func (l placed) private(visit func(Element)) {
	none := placed{list: &list{}}
	none.replaced(l, func(_ Element, _ bool, e Element, _ bool) { visit(e) })
}

// editing is told of one element that becomes another; either may be missing.
type editing func(was Element, isHeld bool, now Element, isWanted bool)

// replaced visits the elements in which l and next differ.
func (l placed) replaced(next placed, visit editing) {
	if l.id != next.id && l.id != 0 && next.id != 0 {
		l.replaced(placed{list: &list{}}, visit)
		l = placed{list: &list{}}
	}
	id, protocol := max(l.id, next.id), max(l.protocol, next.protocol)
	column(l.slots, next.slots, visit, func(i int, endpoint netip.AddrPort) Element {
		return Element{Endpoints, endpointKey(protocol, id, uint32(i)), endpointData(endpoint)}
	})
	l.unshared().drawn(next.unshared(), visit)
	for _, port := range union(l.ports, next.ports) {
		column(l.behind(port), next.behind(port), visit, func(i int, endpoint netip.AddrPort) Element {
			return Element{Sticky, stickyKey(protocol, port, pin(id, uint32(i))), endpointData(endpoint)}
		})
	}
}

// unshared is l if its draws are its own, and else nothing.
func (l placed) unshared() placed {
	if l.shared {
		return placed{list: &list{}}
	}
	return l
}

// drawn visits the elements in which the draws of l and next differ.
func (l placed) drawn(next placed, visit editing) {
	id := max(l.id, next.id)
	column(l.pins().draws, next.pins().draws, visit, func(i int, pin uint32) Element {
		return Element{Draws, drawKey(id, uint32(i)), number(pin)}
	})
	column([]uint32{l.pins().spread(id)}, []uint32{next.pins().spread(id)}, visit, func(_ int, spread uint32) Element {
		return Element{Spreads, number(id), number(spread)}
	})
}

// behind are the endpoints that clients of a port are pinned to, by number.
func (l placed) behind(port uint16) []netip.AddrPort {
	if !slices.Contains(l.ports, port) {
		return nil
	}
	return l.pins().byNumber
}

func union(a, b []uint16) []uint16 {
	all := slices.Clip(a)
	for _, port := range b {
		if !slices.Contains(a, port) {
			all = append(all, port)
		}
	}
	return all
}

// column visits the elements of the places in which was and now differ. A zero
// is no element.
func column[T comparable](was, now []T, visit editing, element func(i int, value T) Element) {
	var none T
	for i := range max(len(was), len(now)) {
		w, n := none, none
		if i < len(was) {
			w = was[i]
		}
		if i < len(now) {
			n = now[i]
		}
		if w == n {
			continue
		}
		var before, after Element
		if w != none {
			before = element(i, w)
		}
		if n != none {
			after = element(i, n)
		}
		visit(before, w != none, after, n != none)
	}
}

func drawKey(id, slot uint32) string {
	var b [8]byte
	return string(appendNumber(appendNumber(b[:0], id), slot))
}

// readDrawKey is the inverse of drawKey.
func readDrawKey(k string) (id, slot uint32, ok bool) {
	if len(k) != 8 {
		return 0, 0, false
	}
	return readNumber(k[:4]), readNumber(k[4:]), true
}

func stickyKey(p model.Protocol, port uint16, pin uint32) string {
	var b [12]byte
	return string(appendNumber(appendPort(appendProtocol(b[:0], p), port), pin))
}

// readStickyKey is the inverse of stickyKey.
func readStickyKey(k string) (p model.Protocol, port uint16, pin uint32, ok bool) {
	if len(k) != 12 {
		return 0, 0, 0, false
	}
	return model.Protocol(k[0]), binary.BigEndian.Uint16([]byte(k[4:6])), readNumber(k[8:]), true
}
