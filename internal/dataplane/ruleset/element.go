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
	"strings"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Element is one entry of a set or map, in the bytes that the kernel stores:
// registers of four bytes, numbers that never travel in the machine's order.
//
// The data of a verdict map is the name of a chain. The element of an interval
// set has the first address as Key and the first one after the range as Data,
// which is empty if the range reaches the end; if the range is the last part of
// a concatenation, Data is that with the last address.
type Element struct {
	Set, Key, Data string
}

// Compare orders elements by set name, key and data.
func (e Element) Compare(o Element) int {
	if c := strings.Compare(e.Set, o.Set); c != 0 {
		return c
	}
	if c := strings.Compare(e.Key, o.Key); c != 0 {
		return c
	}
	return strings.Compare(e.Data, o.Data)
}

// Elements are all elements of a table: set name to key to data.
type Elements map[string]map[string]string

// Add puts e in.
func (es Elements) Add(e Element) {
	if es[e.Set] == nil {
		es[e.Set] = map[string]string{}
	}
	es[e.Set][e.Key] = e.Data
}

func (es Elements) count() int {
	count := 0
	for _, elements := range es {
		count += len(elements)
	}
	return count
}

// Sorted are the elements of one set in the order of their keys.
func (es Elements) Sorted(set string) []Element {
	list := make([]Element, 0, len(es[set]))
	for k, data := range es[set] {
		list = append(list, Element{set, k, data})
	}
	slices.SortFunc(list, Element.Compare)
	return list
}

// ElementText is e in nft syntax.
func (s *Schema) ElementText(e Element) string {
	set, ok := s.Set(e.Set)
	switch {
	case e.Set == StickyChains:
		return e.Key
	case !ok:
		return e.Set + "?"
	case set.IsConcatRange():
		return sourceRangeText(set, s.Family, e)
	case set.Interval:
		return rangeText(e)
	}
	text := set.Key.print(s.Family, e.Key)
	if set.Verdicts {
		return text + " : goto " + e.Data
	}
	if set.Data != nil {
		return text + " : " + set.Data.print(s.Family, e.Data)
	}
	return text
}

// appendAddr, appendProtocol, appendPort and appendNumber append one part of
// a concatenation.
func appendAddr(b []byte, addr netip.Addr) []byte {
	if addr.Is4() {
		a := addr.As4()
		return append(b, a[:]...)
	}
	a := addr.As16()
	return append(b, a[:]...)
}

func appendProtocol(b []byte, p model.Protocol) []byte { return append(b, byte(p), 0, 0, 0) }

func appendPort(b []byte, port uint16) []byte {
	return append(binary.BigEndian.AppendUint16(b, port), 0, 0)
}

func appendNumber(b []byte, n uint32) []byte { return binary.NativeEndian.AppendUint32(b, n) }

func frontendKey(addr netip.Addr, p model.Protocol, port uint16) string {
	var b [24]byte
	return string(appendPort(appendProtocol(appendAddr(b[:0], addr), p), port))
}

func nodePortKey(p model.Protocol, port uint16) string {
	var b [8]byte
	return string(appendPort(appendProtocol(b[:0], p), port))
}

func endpointKey(p model.Protocol, id, slot uint32) string {
	var b [12]byte
	return string(appendNumber(appendNumber(appendProtocol(b[:0], p), id), slot))
}

func endpointData(endpoint netip.AddrPort) string {
	var b [20]byte
	return string(appendPort(appendAddr(b[:0], endpoint.Addr()), endpoint.Port()))
}

func number(n uint32) string { return string(appendNumber(nil, n)) }

func addrKey(addr netip.Addr) string { return string(appendAddr(nil, addr)) }

func hairpinKey(addr netip.Addr) string {
	var b [32]byte
	return string(appendAddr(appendAddr(b[:0], addr), addr))
}

// readNumber is the inverse of number; 0 for anything else.
func readNumber(data string) uint32 {
	if len(data) != 4 {
		return 0
	}
	return binary.NativeEndian.Uint32([]byte(data))
}

// readEndpointKey is the inverse of endpointKey.
func readEndpointKey(k string) (p model.Protocol, id, slot uint32, ok bool) {
	if len(k) != 12 {
		return 0, 0, 0, false
	}
	return model.Protocol(k[0]), readNumber(k[4:8]), readNumber(k[8:12]), true
}

// readEndpointData is the inverse of endpointData.
func readEndpointData(d string) (netip.AddrPort, bool) {
	if len(d) != 8 && len(d) != 20 {
		return netip.AddrPort{}, false
	}
	addr, ok := netip.AddrFromSlice([]byte(d[:len(d)-4]))
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16([]byte(d[len(d)-4:]))), ok
}

// ReadFrontend is the frontend that a key of Frontends or Connections stands
// for.
func ReadFrontend(k string) (Frontend, bool) {
	if len(k) != 12 && len(k) != 24 {
		return Frontend{}, false
	}
	n := len(k) - 8
	addr, ok := netip.AddrFromSlice([]byte(k[:n]))
	port := binary.BigEndian.Uint16([]byte(k[n+4:]))
	return Frontend{Protocol: model.Protocol(k[n]), Addr: netip.AddrPortFrom(addr, port)}, ok
}
