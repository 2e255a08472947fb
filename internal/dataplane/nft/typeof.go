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

package nft

import (
	"encoding/binary"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// A set's userdata is nft's own note of what its keys and data are, without
// which it prints a concatenation by types that it can not read back. The
// kernel only stores it. These are the numbers of libnftnl and of nft's
// expression and protocol tables, the same in all releases since 0.9.4: they
// are on disk in the sense that nft lists what another nft wrote.
const (
	noteKeyOrder    = 0
	noteDataOrder   = 1
	noteKeyTypeof   = 3
	noteDataTypeof  = 4
	noteDataRange   = 6
	typeofKind      = 0
	typeofDetail    = 1
	exprVerdict     = 1
	exprPayload     = 7
	exprMeta        = 9
	exprConcat      = 13
	exprNumgen      = 23
	metaPriority    = 2
	metaProtocol    = 16
	headerTransport = 11
	headerIPv4      = 12
	headerIPv6      = 13
)

// Byte orders as nft numbers them. A concatenation has none.
const (
	orderNone = 0
	orderHost = 1
	orderWire = 2
)

// notes is a list of one-byte type, one-byte length, value.
type notes []byte

func (n notes) number(kind uint8, value uint32) notes {
	return n.bytes(kind, binary.NativeEndian.AppendUint32(nil, value))
}

func (n notes) bytes(kind uint8, value []byte) notes {
	return append(append(n, kind, uint8(len(value))), value...)
}

// setNotes is the userdata of a set.
func setNotes(set ruleset.Set, family model.Family) []byte {
	n := notes(nil).number(noteKeyOrder, order(set.Key, family))
	switch {
	case set.Verdicts:
		n = n.number(noteDataOrder, orderNone)
	case set.Data != nil:
		n = n.number(noteDataOrder, order(set.Data, family))
	}
	n = n.bytes(noteKeyTypeof, typeof(set.Key, family))
	switch {
	case set.Verdicts:
		n = n.bytes(noteDataTypeof, expr(exprVerdict, nil))
	case set.Data != nil:
		n = n.bytes(noteDataTypeof, typeof(set.Data, family))
	}
	if set.IsMap() {
		n = n.number(noteDataRange, 0)
	}
	return n
}

func order(key ruleset.Key, family model.Family) uint32 {
	switch {
	case len(key) > 1:
		return orderNone
	case key[0].Type(family).HostOrder:
		return orderHost
	}
	return orderWire
}

func typeof(key ruleset.Key, family model.Family) notes {
	if len(key) == 1 {
		return typeofOne(key[0], family)
	}
	var parts notes
	for i, s := range key {
		parts = parts.bytes(uint8(i), typeofOne(s, family))
	}
	return expr(exprConcat, parts)
}

func typeofOne(s ruleset.Selector, family model.Family) notes {
	v4 := family == model.IPv4
	switch s.Field {
	case ruleset.SourceAddress:
		return payload(pick(v4, headerIPv4, headerIPv6), pick(v4, 11, 8))
	case ruleset.DestinationAddress, ruleset.OriginalAddress:
		return payload(pick(v4, headerIPv4, headerIPv6), pick(v4, 12, 9))
	case ruleset.DestinationPort, ruleset.OriginalPort:
		return payload(headerTransport, 2)
	case ruleset.Protocol:
		return expr(exprMeta, notes(nil).number(0, metaProtocol))
	case ruleset.ServicePortID, ruleset.ServicePortClass:
		return expr(exprMeta, notes(nil).number(0, metaPriority))
	default:
		const random = 1
		return expr(exprNumgen, notes(nil).number(0, random).number(1, s.Modulus).number(2, 0))
	}
}

func payload(header, field uint32) notes {
	return expr(exprPayload, notes(nil).number(0, header).number(1, field))
}

func expr(kind uint32, detail notes) notes {
	return notes(nil).number(typeofKind, kind).bytes(typeofDetail, detail)
}

func pick(first bool, a, b uint32) uint32 {
	if first {
		return a
	}
	return b
}

// typeNumber is the number nft gives a type or a concatenation of types.
func typeNumber(key ruleset.Key, family model.Family) uint32 {
	number := uint32(0)
	for _, s := range key {
		number = number<<6 | s.Type(family).Number
	}
	return number
}
