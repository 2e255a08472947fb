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
	"strings"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Packet is the first packet of a connection.
type Packet struct {
	Source netip.Addr
	To     Frontend
	// FromHost is true for a process of the node itself, whose Source is one
	// of the node's addresses.
	FromHost bool
	// Interface is the name of the one that the packet comes in by, "" for a
	// process of the node.
	Interface string
	// Echo is true for an ICMP echo request, which To has no part in but for
	// its address.
	Echo bool
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
	// Answered is true if the node itself answers, an echo request.
	Answered bool
	// Map is where the way in was found, Frontends or NodePorts, "" if it was
	// not.
	Map string
	// List is the id of the list that an endpoint is drawn from, 0 for none.
	// Planner.ListOf says whose it is.
	List uint32
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
		w.chain(w.filter())
	}
	trace := Trace{Refused: w.end == refused, Dropped: w.end == dropped, Answered: w.end == answered, Map: w.foundIn, Steps: w.steps}
	if len(w.endpoints) > 0 {
		trace.List = w.list
	}
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
	answered
)

// walk is one packet on its way through one hook after the other.
type walk struct {
	Tracer
	packet      Packet
	destination netip.AddrPort
	translated  bool
	id          uint32
	// pins are what id may be after a draw of pins.
	pins []uint32
	// forgot is true once the client's pin was found to be of no use.
	forgot    bool
	list      uint32
	foundIn   string
	endpoints map[netip.AddrPort]bool
	end       ending
	steps     []string
}

// filter is the hook that an untranslated packet crosses.
func (w *walk) filter() string {
	if w.packet.FromHost {
		return "filter-output"
	}
	if w.isForHost() {
		return "filter-input"
	}
	return "filter-forward"
}

// isForHost knows the machine's addresses as far as NodePorts answer there.
func (w *walk) isForHost() bool {
	_, own := w.Elements[NodeAddresses][addrKey(w.destination.Addr())]
	return own
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
		if taken && slices.Contains(rule, Statement(Return{})) {
			w.step(name, rule)
			return
		}
		if taken {
			w.step(name, rule)
		}
		if next != "" {
			w.chain(next)
			if _, jumps := rule[len(rule)-1].(Jump); !jumps {
				return
			}
		}
		if w.end != goesOn {
			return
		}
	}
}

func (w *walk) step(chain string, rule Rule) {
	w.steps = append(w.steps, chain+": "+rule.Text(w.Schema.Family))
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
	if !w.holds(s) {
		return false, ""
	}
	switch s := s.(type) {
	case FindID:
		return w.find(s), ""
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
		if w.protocol() != model.TCP {
			return false, ""
		}
		w.end = refused
	case Unreachable:
		w.end = refused
	case Redirect:
		w.end = answered
	case Remember: // which a full map does not prevent from being served
	case Forget:
		w.forgot = true
	case Goto:
		return true, string(s)
	case Jump:
		return true, string(s)
	case Drop:
		w.end = dropped
	}
	return true, ""
}

// holds is false for a condition that is not met.
func (w *walk) holds(s Statement) bool {
	switch s := s.(type) {
	case InSet:
		return w.contains(s.Set, s.Key) != s.Not
	case IsProtocol:
		return w.protocol() == model.Protocol(s)
	case IsTranslated:
		return w.translated
	case IsNew:
		return true
	case IsOngoing:
		return false
	case IsForHost:
		return w.isForHost()
	case IsFromHost:
		return w.packet.FromHost
	case CameInBy:
		return s.matches(w.packet.Interface) != s.Not
	case IsEcho:
		return w.packet.Echo
	case SentTo:
		return w.destination.Addr() == netip.Addr(s)
	case SentToLoopback:
		return w.destination.Addr().IsLoopback()
	case InShard:
		return shardOf(w.value(key(DestinationAddress, Protocol, DestinationPort), 0)) == uint32(s)
	case HasFlag:
		return w.id&uint32(s) == uint32(s)
	}
	return true
}

func (w *walk) find(s FindID) bool {
	switch s.Map {
	case Draws:
		return w.drawPins(s)
	case Affinity:
		w.findPin(s)
		return true
	}
	data, ok := w.Elements[s.Map][w.value(s.Key, 0)]
	if !ok {
		return false
	}
	if s.Map == Frontends || s.Map == NodePorts {
		w.foundIn = s.Map
	}
	w.id = readNumber(data)
	return true
}

// drawPins collects what every possible draw yields.
func (w *walk) drawPins(s FindID) bool {
	id := w.id
	w.pins = nil
	for slot := range s.Key[len(s.Key)-1].Modulus {
		w.id = id
		if data, ok := w.Elements[s.Map][w.value(s.Key, slot)]; ok {
			w.pins = append(w.pins, readNumber(data))
		}
	}
	return len(w.pins) > 0
}

// findPin takes the client's pin in place of what was drawn, if Elements has
// it: a caller who wants to know where exactly a client goes puts it there.
func (w *walk) findPin(s FindID) {
	if data, ok := w.Elements[s.Map][w.value(s.Key, 0)]; ok && !w.forgot {
		w.pins = []uint32{readNumber(data)}
	}
}

// protocol is the transport protocol. Echo requests have one of their own, which
// no Service has.
func (w *walk) protocol() model.Protocol {
	if w.packet.Echo {
		const icmp = 1
		return icmp
	}
	return w.packet.To.Protocol
}

func (s CameInBy) matches(name string) bool {
	if prefix, ok := strings.CutSuffix(s.Interface, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return name == s.Interface
}

// translate collects what every possible draw leads to. Only if none misses is
// the packet's way over here.
func (w *walk) translate(s Translate) bool {
	missed := false
	for _, k := range w.possible(s.Key) {
		endpoint, ok := readEndpointData(w.Elements[s.Map][k])
		if !ok {
			missed = true
			continue
		}
		if w.endpoints == nil {
			w.endpoints = map[netip.AddrPort]bool{}
		}
		w.endpoints[endpoint] = true
		w.list = w.id & IDMask
	}
	if !missed {
		w.end = translated
	}
	return !missed
}

// possible are all values that a key may have: for every number that it draws,
// or that was drawn for the id.
func (w *walk) possible(k Key) []string {
	var all []string
	switch last := k[len(k)-1]; {
	case last.Field == DrawnSlot:
		for slot := range last.Modulus {
			all = append(all, w.value(k, slot))
		}
	case last.Field == ServicePortID && w.pins != nil:
		for _, w.id = range w.pins {
			all = append(all, w.value(k, 0))
		}
	default:
		all = append(all, w.value(k, 0))
	}
	return all
}

func (w *walk) contains(set string, k Key) bool {
	value := w.value(k, 0)
	declared, _ := w.Schema.Set(set)
	if !declared.Interval {
		_, ok := w.Elements[set][value]
		return ok
	}
	for first, after := range w.Elements[set] {
		// The parts before the range are the same in both ends.
		if first <= value && (value < after || value == after && declared.IsConcatRange() || after == "") {
			return true
		}
	}
	return false
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
			b = appendProtocol(b, w.protocol())
		case DestinationPort:
			b = appendPort(b, w.destination.Port())
		case ServicePortID:
			b = appendNumber(b, w.id)
		case ServicePortClass:
			b = appendNumber(b, w.id&ClassMask)
		case OnlyID:
			b = appendNumber(b, w.id&IDMask)
		case ClientHash:
			b = appendNumber(b, clientHash(w.packet.Source, s.Modulus))
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
