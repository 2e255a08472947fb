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
	"fmt"
	"math"
	"net/netip"
	"strconv"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Datatype is how nftables names, sizes and prints a value.
type Datatype struct {
	// Number is nft's own number of the type; the kernel only stores it.
	Number uint32
	// Size is in bytes, without the padding inside concatenations.
	Size int
	// HostOrder is true for values in the machine's byte order, which in nft
	// are those that never travel in a packet.
	HostOrder bool

	print func(value []byte) string
}

var (
	integerType  = Datatype{Number: 4, Size: 4, HostOrder: true, print: printInteger}
	ipv4Type     = Datatype{Number: 7, Size: 4, print: printAddr}
	ipv6Type     = Datatype{Number: 8, Size: 16, print: printAddr}
	protocolType = Datatype{Number: 12, Size: 1, print: printProtocol}
	portType     = Datatype{Number: 13, Size: 2, print: printPort}
	priorityType = Datatype{Number: 23, Size: 4, HostOrder: true, print: printPriority}
)

func printInteger(v []byte) string {
	return strconv.FormatUint(uint64(binary.NativeEndian.Uint32(v)), 10)
}

func printAddr(v []byte) string {
	addr, _ := netip.AddrFromSlice(v)
	return addr.String()
}

func printProtocol(v []byte) string {
	switch model.Protocol(v[0]) {
	case model.TCP:
		return "tcp"
	case model.UDP:
		return "udp"
	case model.SCTP:
		return "sctp"
	}
	return strconv.Itoa(int(v[0]))
}

func printPort(v []byte) string {
	return strconv.Itoa(int(binary.BigEndian.Uint16(v)))
}

// printPriority writes a packet priority as nft does: a traffic control
// handle, major and minor number in hexadecimal.
func printPriority(v []byte) string { return priorityText(binary.NativeEndian.Uint32(v)) }

func priorityText(n uint32) string {
	switch n {
	case 0:
		return "none"
	case math.MaxUint32:
		return "root"
	}
	return fmt.Sprintf("%x:%x", n>>16, n&0xffff)
}

// padded is the size of a value inside a concatenation: whole 32-bit registers.
func padded(size int) int { return (size + 3) &^ 3 }
