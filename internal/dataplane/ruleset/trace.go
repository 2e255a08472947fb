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
	"net/netip"
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Packet is the first packet of a connection.
type Packet struct {
	Source netip.Addr
	To     Frontend
	// FromHost is true for a process of the node itself, whose Source is one
	// of the node's addresses.
	FromHost bool
}

// Target is where a connection may go.
type Target struct {
	Endpoint netip.AddrPort
	// Masqueraded is true if the endpoint sees the node as the client.
	Masqueraded bool
}

// Trace is what becomes of a packet. If it is neither refused nor dropped and
// has no targets, it is not ours and goes on as it is.
type Trace struct {
	// Targets are sorted; one is chosen at random.
	Targets []Target
	Refused bool
	Dropped bool
	// Steps are the rules that took effect, in order, as "chain: rule". Of
	// several targets they tell the way to the first.
	Steps []string
}

// Tracer walks packets through a schema and elements, rule by rule, as the
// kernel would.
type Tracer struct {
	Schema   *Schema
	Elements Elements
}

// Trace follows p through every hook it crosses.
func (t Tracer) Trace(p Packet) Trace {
	w := &walk{Tracer: t, packet: p, destination: p.To.Addr}
	if p.FromHost {
		w.chain("nat-output")
	} else {
		w.chain("nat-prerouting")
	}
	if w.end == goesOn && len(w.endpoints) == 0 {
		w.chain("filter-forward") // input and output have the same rules
	}
	trace := Trace{Refused: w.end == refused, Dropped: w.end == dropped, Steps: w.steps}
	for i, endpoint := range w.sortedEndpoints() {
		out := &walk{Tracer: t, packet: p, destination: endpoint, translated: true, id: w.id}
		out.chain("nat-postrouting")
		trace.Targets = append(trace.Targets, Target{endpoint, out.end == masqueraded})
		if i == 0 {
			trace.Steps = append(trace.Steps, out.steps...)
		}
	}
	return trace
}

// ending is how a chain left a packet.
type ending uint8

const (
	goesOn ending = iota
	translated
	masqueraded
	refused
	dropped
)

// walk is one packet on its way through one hook after the other.
type walk struct {
	Tracer
	packet      Packet
	destination netip.AddrPort
	translated  bool
	id          uint32
	endpoints   map[netip.AddrPort]bool
	end         ending
	steps       []string
}

func (w *walk) sortedEndpoints() []netip.AddrPort {
	list := make([]netip.AddrPort, 0, len(w.endpoints))
	for endpoint := range w.endpoints {
		list = append(list, endpoint)
	}
	slices.SortFunc(list, netip.AddrPort.Compare)
	return list
}

// chain carries out the rules of a chain, and of those it goes to.
func (w *walk) chain(name string) {
	c := w.Schema.Chain(name)
	if c == nil {
		return
	}
	for _, rule := range c.Rules {
		next, taken := w.rule(rule)
		if taken {
			w.steps = append(w.steps, name+": "+rule.Text(w.Schema.Family))
		}
		if next != "" {
			w.chain(next)
			return
		}
		if w.end != goesOn {
			return
		}
	}
}

// rule carries out one rule. next is the chain it goes to, if it does; taken
// is true if all its conditions held.
func (w *walk) rule(rule Rule) (next string, taken bool) {
	for _, s := range rule {
		holds, to := w.statement(s)
		if !holds {
			return "", false
		}
		next = to
	}
	return next, true
}

func (w *walk) statement(s Statement) (holds bool, next string) {
	switch s := s.(type) {
	case InSet:
		return w.contains(s.Set, s.Key) != s.Not, ""
	case IsProtocol:
		return w.packet.To.Protocol == model.Protocol(s), ""
	case IsTranslated:
		return w.translated, ""
	case IsNew:
		return true, ""
	case IsFromHost:
		return w.packet.FromHost, ""
	case FindID:
		data, ok := w.Elements[s.Map][w.value(s.Key, 0)]
		if ok {
			w.id = readNumber(data)
		}
		return ok, ""
	case KeepID:
		w.id &= IDMask
	case ClearID:
		w.id = 0
	case Branch:
		chain, ok := w.Elements[s.Map][w.value(s.Key, 0)]
		return ok, chain
	case Translate:
		return w.translate(s), ""
	case Masquerade:
		w.end = masqueraded
	case Reset:
		if w.packet.To.Protocol != model.TCP {
			return false, ""
		}
		w.end = refused
	case Unreachable:
		w.end = refused
	case Goto:
		return true, string(s)
	case Drop:
		w.end = dropped
	}
	return true, ""
}

// translate collects what every possible draw leads to. Only if none misses is
// the packet's way over here.
func (w *walk) translate(s Translate) bool {
	missed := false
	for slot := range s.Key[len(s.Key)-1].Modulus {
		endpoint, ok := readEndpointData(w.Elements[s.Map][w.value(s.Key, slot)])
		if !ok {
			missed = true
			continue
		}
		if w.endpoints == nil {
			w.endpoints = map[netip.AddrPort]bool{}
		}
		w.endpoints[endpoint] = true
	}
	if !missed {
		w.end = translated
	}
	return !missed
}

func (w *walk) contains(set string, k Key) bool {
	if declared, _ := w.Schema.Set(set); declared.Interval {
		return slices.ContainsFunc(w.Elements.Sorted(set), func(e Element) bool { return inRange(e, w.packet.Source) })
	}
	_, ok := w.Elements[set][w.value(k, 0)]
	return ok
}

// value is what a key selects from the packet, with slot as the number drawn.
func (w *walk) value(k Key, slot uint32) string {
	var b []byte
	for _, s := range k {
		switch s.Field {
		case SourceAddress:
			b = appendAddr(b, w.packet.Source)
		case DestinationAddress:
			b = appendAddr(b, w.destination.Addr())
		case Protocol:
			b = appendProtocol(b, w.packet.To.Protocol)
		case DestinationPort:
			b = appendPort(b, w.destination.Port())
		case ServicePortID:
			b = appendNumber(b, w.id)
		case ServicePortClass:
			b = appendNumber(b, w.id&ClassMask)
		case OriginalAddress:
			b = appendAddr(b, w.packet.To.Addr.Addr())
		case OriginalPort:
			b = appendPort(b, w.packet.To.Addr.Port())
		case DrawnSlot:
			b = appendNumber(b, slot)
		}
	}
	return string(b)
}
