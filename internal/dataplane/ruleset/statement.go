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
	"net/netip"
	"strings"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Statement is one step of a rule: a condition that must hold for the next
// step to be taken, or something done to the packet. The types below are all
// there are; package nft encodes each one, the Tracer interprets each one.
type Statement interface {
	nft(family model.Family) string
}

type (
	// InSet holds for a packet whose key is in the set, or with Not, is not.
	InSet struct {
		Key Key
		Set string
		Not bool
		// Range is true if the set has ranges as the last part of the key.
		Range bool
	}
	// IsProtocol holds for packets of one transport protocol. nft 1.0.6 needs
	// it in front of OriginalPort.
	IsProtocol model.Protocol
	// IsTranslated holds for connections whose destination was translated.
	IsTranslated struct{}
	// IsNew holds for packets that begin a connection.
	IsNew struct{}
	// IsOngoing holds for packets of connections that have been answered, and for
	// what concerns a connection, such as ICMP errors.
	IsOngoing struct{}
	// IsForHost holds for packets whose destination is one of the machine's own
	// addresses.
	IsForHost struct{}
	// IsFromHost holds for packets whose source is one of the machine's own
	// addresses.
	IsFromHost struct{}
	// CameInBy holds for packets that came in by the interface of that name, or
	// by one whose name begins with what stands before a final "*"; with Not,
	// for all others.
	CameInBy struct {
		Interface string
		Not       bool
	}
	// IsEcho holds for ICMP echo requests.
	IsEcho struct{}
	// SentTo holds for packets to one address.
	SentTo netip.Addr
	// SentToLoopback holds for packets to 127.0.0.0/8, in IPv4 only.
	SentToLoopback struct{}
	// HasFlag holds for packets with a route that has the flag.
	HasFlag uint32
	// InShard holds for packets to a frontend of that shard of SourceRanges.
	InShard uint32
	// FindID looks the key up and keeps the id found; without one the rule
	// ends.
	FindID struct {
		Key Key
		Map string
	}
	// KeepID takes all but the id off what FindID found.
	KeepID struct{}
	// ClearID leaves no trace of the id in the packet.
	ClearID struct{}
	// Branch continues in the chain that the map holds for the key.
	Branch struct {
		Key Key
		Map string
	}
	// Translate sends the connection to the address and port found; without
	// one the rule ends.
	Translate struct {
		Key Key
		Map string
	}
	// Masquerade gives the connection the source address of the outgoing
	// interface, and a random source port: sequential ones collide when many
	// clients share them.
	Masquerade struct{}
	// Redirect has the node itself answer.
	Redirect struct{}
	// Reset refuses a TCP connection and does nothing to other protocols.
	Reset struct{}
	// Unreachable refuses with ICMP port unreachable.
	Unreachable struct{}
	// Goto continues in another chain for good.
	Goto string
	// Jump continues in another chain until that returns.
	Jump string
	// Return ends the chain, and goes on behind the last Jump.
	Return struct{}
	// Remember makes an element that leads from the key to the packet's
	// priority. If there is one already, it starts its timeout anew and leaves
	// its data as they are. If the map is full the rule ends.
	Remember struct {
		Key     Key
		Map     string
		Timeout time.Duration
	}
	// Forget deletes the element of the key.
	Forget struct {
		Key Key
		Map string
	}
	// Drop ends the packet.
	Drop struct{}
)

func (s InSet) nft(f model.Family) string {
	if s.Not {
		return s.Key.nft(f) + " != @" + s.Set
	}
	return s.Key.nft(f) + " @" + s.Set
}

func (s IsProtocol) nft(model.Family) string {
	return "meta l4proto " + printProtocol([]byte{byte(s)})
}
func (IsTranslated) nft(model.Family) string { return "ct status dnat" }
func (IsNew) nft(model.Family) string        { return "ct state new" }
func (IsOngoing) nft(model.Family) string    { return "ct state established,related" }
func (IsForHost) nft(model.Family) string    { return "fib daddr type local" }
func (IsFromHost) nft(model.Family) string   { return "fib saddr type local" }
func (s CameInBy) nft(model.Family) string {
	if s.Not {
		return fmt.Sprintf("iifname != %q", s.Interface)
	}
	return fmt.Sprintf("iifname %q", s.Interface)
}
func (IsEcho) nft(f model.Family) string {
	if f == model.IPv4 {
		return "icmp type echo-request"
	}
	return "icmpv6 type echo-request"
}
func (s SentTo) nft(f model.Family) string {
	return keyword(f) + " daddr " + netip.Addr(s).String()
}
func (SentToLoopback) nft(model.Family) string { return "ip daddr 127.0.0.0/8" }
func (s HasFlag) nft(model.Family) string {
	flag := priorityText(uint32(s))
	return "meta priority & " + flag + " == " + flag
}
func (s InShard) nft(f model.Family) string {
	return fmt.Sprintf("jhash %s daddr . th dport mod %d seed 0x%x %d", keyword(f), SourceShards, HashSeed, s)
}
func (s FindID) nft(f model.Family) string {
	return "meta priority set " + s.Key.nft(f) + " map @" + s.Map
}
func (KeepID) nft(model.Family) string {
	return "meta priority set meta priority & " + priorityText(IDMask)
}
func (ClearID) nft(model.Family) string    { return "meta priority set none" }
func (s Branch) nft(f model.Family) string { return s.Key.nft(f) + " vmap @" + s.Map }
func (s Translate) nft(f model.Family) string {
	return "dnat " + keyword(f) + " to " + s.Key.nft(f) + " map @" + s.Map
}
func (Masquerade) nft(model.Family) string  { return "masquerade fully-random" }
func (Redirect) nft(model.Family) string    { return "redirect" }
func (Reset) nft(model.Family) string       { return "reject with tcp reset" }
func (Unreachable) nft(model.Family) string { return "reject" }
func (s Goto) nft(model.Family) string      { return "goto " + string(s) }
func (Drop) nft(model.Family) string        { return "drop" }
func (s Jump) nft(model.Family) string      { return "jump " + string(s) }
func (Return) nft(model.Family) string      { return "return" }
func (s Remember) nft(f model.Family) string {
	return "update @" + s.Map + " { " + s.Key.nft(f) + " timeout " + timeoutText(s.Timeout) + " : meta priority }"
}

// Forget names data, too: nft wants them of a map.
func (s Forget) nft(f model.Family) string {
	return "delete @" + s.Map + " { " + s.Key.nft(f) + " : meta priority }"
}

// Rule is a list of statements, taken in order until one does not hold.
type Rule []Statement

// Text is the rule in nft syntax.
func (r Rule) Text(family model.Family) string {
	parts := make([]string, len(r))
	for i, s := range r {
		parts[i] = s.nft(family)
	}
	return strings.Join(parts, " ")
}
