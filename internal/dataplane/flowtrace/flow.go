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

package flowtrace

import (
	"fmt"
	"net/netip"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Flow is whose packets are followed: all that are sent to Destination with
// Protocol, from Source only if that is valid.
type Flow struct {
	Protocol    model.Protocol
	Source      netip.Addr
	Destination netip.AddrPort
}

func (f Flow) validate() error {
	switch {
	case !f.Destination.IsValid() || f.Destination.Port() == 0:
		return fmt.Errorf("following a flow: its destination %s has no address or no port", f.Destination)
	case f.Source.IsValid() && f.Source.Is4() != f.Destination.Addr().Is4():
		return fmt.Errorf("following a flow: its source %s and its destination %s are of different IP families", f.Source, f.Destination)
	case f.Protocol != model.TCP && f.Protocol != model.UDP && f.Protocol != model.SCTP:
		return fmt.Errorf("following a flow: %s is not TCP, UDP or SCTP", f.Protocol)
	}
	return nil
}

// Packet is the way of one packet through the node's chains.
type Packet struct {
	// ID is the kernel's number of the packet.
	ID    uint32 `json:"id"`
	Steps []Step `json:"steps"`
}

// Step is one trace event.
type Step struct {
	// Table is "ip switchyard", Chain a chain in it.
	Table string `json:"table"`
	Chain string `json:"chain"`
	// Handle is the number of the rule that matched, 0 for the end of a chain
	// and for its policy.
	Handle uint64 `json:"handle,omitempty"`
	// Verdict is "accept", "drop", "goto CHAIN", "jump CHAIN", "return",
	// "continue", or "policy accept" and "policy drop" at the end of a base
	// chain.
	Verdict string `json:"verdict"`
	// Destination is where the packet was going when it entered the chain's
	// hook, not valid if the event does not say. After a translation it is an
	// endpoint.
	Destination netip.AddrPort `json:"destination,omitzero"`
	// Source is where it said that it came from.
	Source netip.AddrPort `json:"source,omitzero"`
}

// Dropped says whether the packet ended in a drop, and in which step.
func (p Packet) Dropped() (Step, bool) {
	for _, s := range p.Steps {
		if s.Verdict == "drop" || s.Verdict == "policy drop" {
			return s, true
		}
	}
	return Step{}, false
}

// SentTo is the last destination that was seen.
func (p Packet) SentTo() netip.AddrPort {
	var last netip.AddrPort
	for _, s := range p.Steps {
		if s.Destination.IsValid() {
			last = s.Destination
		}
	}
	return last
}

// SentFrom is the last source that was seen.
func (p Packet) SentFrom() netip.AddrPort {
	var last netip.AddrPort
	for _, s := range p.Steps {
		if s.Source.IsValid() {
			last = s.Source
		}
	}
	return last
}
