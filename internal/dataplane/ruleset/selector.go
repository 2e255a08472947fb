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
	"strings"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Field is a property of a packet or of its connection.
type Field uint8

// The fields that the schema looks at.
const (
	SourceAddress Field = iota
	DestinationAddress
	Protocol
	DestinationPort
	// ServicePortID is `meta priority`, a scratch register on the first packet
	// of a connection: unlike a mark it is no one else's, and postrouting
	// clears it. Until a class is chosen, its high bits name that.
	ServicePortID
	// ServicePortClass is the part of it that names the class.
	ServicePortClass
	// OriginalAddress and OriginalPort are where the client sent the packet.
	OriginalAddress
	OriginalPort
	// DrawnSlot is a random number below Selector.Modulus.
	DrawnSlot
	// OnlyID is ServicePortID without the bits above the id.
	OnlyID
	// ClientHash is a hash of the source address below Selector.Modulus.
	ClientHash
)

// Selector is a Field, or a draw with its modulus, as part of a key.
type Selector struct {
	Field Field
	// Modulus is of DrawnSlot and ClientHash only: 1 or more.
	Modulus uint32
}

func is(f Field) Selector { return Selector{Field: f} }

// draw is a slot drawn uniformly from [0, modulus).
func draw(modulus uint32) Selector { return Selector{Field: DrawnSlot, Modulus: modulus} }

// hash is a number in [0, modulus) that depends on the client alone.
func hash(modulus uint32) Selector { return Selector{Field: ClientHash, Modulus: modulus} }

// Type is the datatype of what s selects.
func (s Selector) Type(family model.Family) Datatype {
	switch s.Field {
	case SourceAddress, DestinationAddress, OriginalAddress:
		if family == model.IPv4 {
			return ipv4Type
		}
		return ipv6Type
	case Protocol:
		return protocolType
	case DestinationPort, OriginalPort:
		return portType
	case ServicePortID, ServicePortClass, OnlyID:
		return priorityType
	default:
		return integerType
	}
}

func (s Selector) nft(family model.Family) string {
	switch s.Field {
	case SourceAddress:
		return keyword(family) + " saddr"
	case DestinationAddress:
		return keyword(family) + " daddr"
	case Protocol:
		return "meta l4proto"
	case DestinationPort:
		return "th dport"
	case ServicePortID:
		return "meta priority"
	case ServicePortClass:
		return fmt.Sprintf("meta priority & %s", priorityText(ClassMask))
	case OnlyID:
		return fmt.Sprintf("meta priority & %s", priorityText(IDMask))
	case ClientHash:
		return fmt.Sprintf("jhash %s saddr mod %d seed 0x%x", keyword(family), s.Modulus, HashSeed)
	case OriginalAddress:
		return "ct original " + keyword(family) + " daddr"
	case OriginalPort:
		return "ct original proto-dst"
	default:
		return fmt.Sprintf("numgen random mod %d", s.Modulus)
	}
}

// Key is a concatenation of selectors.
type Key []Selector

func key(fields ...Field) Key {
	k := make(Key, len(fields))
	for i, f := range fields {
		k[i] = is(f)
	}
	return k
}

// Size is how many bytes a value of k takes: the bare size of a single
// selector, whole registers each in a concatenation.
func (k Key) Size(family model.Family) int {
	if len(k) == 1 {
		return k[0].Type(family).Size
	}
	size := 0
	for _, s := range k {
		size += padded(s.Type(family).Size)
	}
	return size
}

func (k Key) nft(family model.Family) string {
	parts := make([]string, len(k))
	for i, s := range k {
		parts[i] = s.nft(family)
	}
	return strings.Join(parts, " . ")
}

// print writes a value of k, as nft lists it. A value of another size is from
// a foreign hand and printed as bytes.
func (k Key) print(family model.Family, value string) string {
	if len(value) != k.Size(family) {
		return fmt.Sprintf("%x", value)
	}
	parts := make([]string, len(k))
	for i, s := range k {
		t := s.Type(family)
		parts[i] = t.print([]byte(value[:t.Size]))
		value = value[min(padded(t.Size), len(value)):]
	}
	return strings.Join(parts, " . ")
}

// keyword is the family in nft syntax, of a table and of a header.
func keyword(family model.Family) string {
	if family == model.IPv4 {
		return "ip"
	}
	return "ip6"
}
