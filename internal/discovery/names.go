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

package discovery

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// maxLabel is how long a label may be (RFC 1035, 2.3.4).
const maxLabel = 63

// dashed is the name of an endpoint that has no other: its address with dashes.
// A name should not end with one, which an IPv6 address can, "2001:db8::": it
// gets the 0 that is meant there.
func dashed(address netip.Addr) string {
	if address.Is4() {
		return strings.ReplaceAll(address.String(), ".", "-")
	}
	name := strings.ReplaceAll(address.String(), ":", "-")
	if strings.HasSuffix(name, "-") {
		name += "0"
	}
	return name
}

// undashed is the address that a pod's name is made of. Four numbers are IPv4.
func undashed(label string) (netip.Addr, bool) {
	if strings.Trim(label, "0123456789abcdef-") != "" || !strings.Contains(label, "-") {
		return netip.Addr{}, false // most are not, and an error takes memory
	}
	separator := ":"
	if strings.Count(label, "-") == 3 && !strings.Contains(label, "--") {
		separator = "."
	}
	address, err := netip.ParseAddr(strings.ReplaceAll(label, "-", separator))
	if err != nil || address.Zone() != "" {
		return netip.Addr{}, false
	}
	return address.Unmap(), true
}

// isLabel is true for what can be one label of a name.
func isLabel(name string) bool {
	return name != "" && len(name) <= maxLabel && !strings.Contains(name, ".")
}

const (
	reverseIPv4 = ".in-addr.arpa."
	reverseIPv6 = ".ip6.arpa."
)

// ReverseName is the name whose PTR records tell the names of address.
func ReverseName(address netip.Addr) string {
	address = address.Unmap()
	var b strings.Builder
	bytes := address.AsSlice()
	if address.Is4() {
		for _, number := range slices.Backward(bytes) {
			b.WriteString(strconv.Itoa(int(number)))
			b.WriteByte('.')
		}
		return b.String() + reverseIPv4[1:]
	}
	digits := hex.EncodeToString(bytes)
	for i := len(digits) - 1; i >= 0; i-- {
		b.WriteByte(digits[i])
		b.WriteByte('.')
	}
	return b.String() + reverseIPv6[1:]
}

// ReverseAddress is the address that name, in lower case, is the reverse name
// of. Only a whole address is one: a part of it names a network.
func ReverseAddress(name string) (netip.Addr, bool) {
	if numbers, is := strings.CutSuffix(name, reverseIPv4); is {
		return reverseAddress4(numbers)
	}
	if digits, is := strings.CutSuffix(name, reverseIPv6); is {
		return reverseAddress6(digits)
	}
	return netip.Addr{}, false
}

func reverseAddress4(numbers string) (netip.Addr, bool) {
	parts := [4]string{}
	for i := len(parts) - 1; i > 0; i-- {
		part, rest, found := strings.Cut(numbers, ".")
		if !found {
			return netip.Addr{}, false
		}
		parts[i], numbers = part, rest
	}
	parts[0] = numbers
	address, err := netip.ParseAddr(strings.Join(parts[:], "."))
	return address, err == nil
}

func reverseAddress6(digits string) (netip.Addr, bool) {
	var text [32]byte
	if len(digits) != 2*len(text)-1 {
		return netip.Addr{}, false
	}
	for i := range text {
		if i > 0 && digits[2*i-1] != '.' {
			return netip.Addr{}, false
		}
		text[len(text)-1-i] = digits[2*i]
	}
	var bytes [16]byte
	if _, err := hex.Decode(bytes[:], text[:]); err != nil {
		return netip.Addr{}, false
	}
	return netip.AddrFrom16(bytes).Unmap(), true
}
