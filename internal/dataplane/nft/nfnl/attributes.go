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

package nfnl

import (
	"bytes"
	"encoding/binary"
	"iter"

	"golang.org/x/sys/unix"
)

// typeMask takes the flags (nested, byte order) off an attribute's kind.
const typeMask = 0x3fff

// Attributes is a list of encoded attributes, as the kernel sent it. The zero
// value is the empty list.
type Attributes []byte

// All yields each attribute's kind, without flags, and value.
func (a Attributes) All() iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for flagged, value := range a.flagged() {
			if !yield(flagged&typeMask, value) {
				return
			}
		}
	}
}

// flagged is All with the flags left in the kind.
func (a Attributes) flagged() iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(a) >= 4 {
			size := int(binary.NativeEndian.Uint16(a))
			if size < 4 || size > len(a) {
				return
			}
			kind := binary.NativeEndian.Uint16(a[2:])
			if !yield(kind, a[4:size]) {
				return
			}
			a = a[min((size+3)&^3, len(a)):]
		}
	}
}

// Get is the value of the first attribute of a kind, nil without one.
func (a Attributes) Get(kind uint16) []byte {
	for k, value := range a.All() {
		if k == kind {
			return value
		}
	}
	return nil
}

// Nested is Get of an attribute that holds attributes.
func (a Attributes) Nested(kind uint16) Attributes { return Attributes(a.Get(kind)) }

// String is Get of a zero-terminated text.
func (a Attributes) String(kind uint16) string {
	return string(bytes.TrimSuffix(a.Get(kind), []byte{0}))
}

// Uint64 is Get of a number in network byte order, 0 without one.
func (a Attributes) Uint64(kind uint16) uint64 {
	if v := a.Get(kind); len(v) == 8 {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// Uint32 is Get of a number in network byte order, 0 without one.
func (a Attributes) Uint32(kind uint16) uint32 {
	if v := a.Get(kind); len(v) == 4 {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

// Uint16 is Get of a number in network byte order, 0 without one.
func (a Attributes) Uint16(kind uint16) uint16 {
	if v := a.Get(kind); len(v) == 2 {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

// Uint8 is Get of a number of one byte, 0 without one.
func (a Attributes) Uint8(kind uint16) uint8 {
	if v := a.Get(kind); len(v) == 1 {
		return v[0]
	}
	return 0
}

// Contain says whether a has all attributes of wanted with the same values,
// those that are marked as nested by their parts, and as many of the kind
// listed, which are list entries, as wanted has.
func (a Attributes) Contain(wanted Attributes, listed uint16) bool {
	seen := map[uint16]int{}
	for flagged, value := range wanted.flagged() {
		kind := flagged & typeMask
		got, ok := a.nth(kind, seen[kind])
		seen[kind]++
		switch {
		case !ok:
			return false
		case flagged&unix.NLA_F_NESTED != 0:
			if !Attributes(got).Contain(value, listed) {
				return false
			}
		case !bytes.Equal(got, value):
			return false
		}
	}
	_, more := a.nth(listed, seen[listed])
	return seen[listed] == 0 || !more
}

func (a Attributes) nth(kind uint16, n int) (value []byte, ok bool) {
	for k, v := range a.All() {
		if k == kind {
			if n == 0 {
				return v, true
			}
			n--
		}
	}
	return nil, false
}
