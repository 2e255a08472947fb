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
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

// Attributes and types of linux/netfilter/nf_tables.h.
const (
	traceTable      = unix.NFTA_TRACE_TABLE
	traceChain      = unix.NFTA_TRACE_CHAIN
	traceTypePolicy = 1
	traceTypeReturn = 2
	verdictAccept   = 1
	verdictDrop     = 0
	verdictQueue    = 3
	verdictRepeat   = 4
)

// event is one message of the kernel.
type event struct {
	packet uint32
	step   Step
}

// readEvent reads a message; ok is false if it is not about a packet.
func readEvent(family uint8, a nfnl.Attributes) (e event, ok bool) {
	id := a.Get(unix.NFTA_TRACE_ID)
	if len(id) != 4 {
		return event{}, false
	}
	// nfnetlink's numbers are in network byte order; which order does not matter
	// for an identity.
	e.packet = binary.BigEndian.Uint32(id)
	e.step = Step{
		Table:   tableFamily(family) + " " + a.String(traceTable),
		Chain:   a.String(traceChain),
		Verdict: verdictOf(a),
	}
	if handle := a.Get(unix.NFTA_TRACE_RULE_HANDLE); len(handle) == 8 {
		e.step.Handle = binary.BigEndian.Uint64(handle)
	}
	e.step.Source, e.step.Destination = addresses(a.Get(unix.NFTA_TRACE_NETWORK_HEADER), a.Get(unix.NFTA_TRACE_TRANSPORT_HEADER))
	return e, true
}

func tableFamily(family uint8) string {
	switch family {
	case unix.NFPROTO_IPV4:
		return "ip"
	case unix.NFPROTO_IPV6:
		return "ip6"
	case unix.NFPROTO_INET:
		return "inet"
	case unix.NFPROTO_BRIDGE:
		return "bridge"
	case unix.NFPROTO_NETDEV:
		return "netdev"
	}
	return fmt.Sprintf("family %d", family)
}

func verdictOf(a nfnl.Attributes) string {
	switch a.Uint32(unix.NFTA_TRACE_TYPE) {
	case traceTypePolicy:
		return "policy " + verdictName(a.Uint32(unix.NFTA_TRACE_POLICY), "")
	case traceTypeReturn:
		return "return"
	}
	v := a.Nested(unix.NFTA_TRACE_VERDICT)
	return verdictName(v.Uint32(unix.NFTA_VERDICT_CODE), v.String(unix.NFTA_VERDICT_CHAIN))
}

func verdictName(code uint32, chain string) string {
	switch int32(code) {
	case verdictDrop:
		return "drop"
	case verdictAccept:
		return "accept"
	case verdictQueue:
		return "queue"
	case verdictRepeat:
		return "repeat"
	case unix.NFT_CONTINUE:
		return "continue"
	case unix.NFT_BREAK:
		return "break"
	case unix.NFT_JUMP:
		return "jump " + chain
	case unix.NFT_GOTO:
		return "goto " + chain
	case unix.NFT_RETURN:
		return "return"
	}
	return fmt.Sprintf("verdict %d", int32(code))
}

// addresses reads both ends off the packet's headers. The kernel sends their
// first bytes with the first event of each hook.
func addresses(network, transport []byte) (from, to netip.AddrPort) {
	source, destination, ok := ends(network)
	if !ok || len(transport) < 4 {
		return netip.AddrPort{}, netip.AddrPort{}
	}
	return netip.AddrPortFrom(source, binary.BigEndian.Uint16(transport)),
		netip.AddrPortFrom(destination, binary.BigEndian.Uint16(transport[2:]))
}

func ends(network []byte) (source, destination netip.Addr, ok bool) {
	switch {
	case len(network) >= 20 && network[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(network[12:16])), netip.AddrFrom4([4]byte(network[16:20])), true
	case len(network) >= 40 && network[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(network[8:24])), netip.AddrFrom16([16]byte(network[24:40])), true
	}
	return netip.Addr{}, netip.Addr{}, false
}
