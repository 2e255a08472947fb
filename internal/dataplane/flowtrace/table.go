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

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

// tracePriority is in front of everybody else's chains, raw ones (-300)
// included, so that the whole way is seen.
const tracePriority = -310

// marker is the table that marks the packets of a flow. Being owned by its
// socket it goes with the process, however that ends (Linux 5.12).
type marker struct {
	nfnl.Messages
	flow   Flow
	name   string
	family uint8
}

func newMarker(flow Flow, number int) *marker {
	m := &marker{flow: flow, name: fmt.Sprintf("switchyard-trace-%d", number), family: unix.NFPROTO_IPV4}
	if model.FamilyOf(flow.Destination.Addr()) == model.IPv6 {
		m.family = unix.NFPROTO_IPV6
	}
	return m
}

// write appends the messages that make the table.
func (m *marker) write() {
	const owned = 2 // NFT_TABLE_F_OWNER
	m.begin(unix.NFT_MSG_NEWTABLE, "adding table %s", m.name)
	m.String(unix.NFTA_TABLE_NAME, m.name)
	m.Uint32(unix.NFTA_TABLE_FLAGS, owned)
	for chain, hook := range map[string]uint32{"prerouting": 0, "output": 3} { // NF_INET_...
		m.chain(chain, hook)
		m.rule(chain)
	}
}

func (m *marker) begin(command uint16, about string, args ...any) {
	m.Begin(unix.NFNL_SUBSYS_NFTABLES<<8|command, unix.NLM_F_CREATE|unix.NLM_F_APPEND, m.family, fmt.Sprintf(about, args...))
}

func (m *marker) chain(name string, hook uint32) {
	priority := int32(tracePriority)
	m.begin(unix.NFT_MSG_NEWCHAIN, "adding chain %s", name)
	m.String(unix.NFTA_CHAIN_TABLE, m.name)
	m.String(unix.NFTA_CHAIN_NAME, name)
	m.Nest(unix.NFTA_CHAIN_HOOK, func() {
		m.Uint32(unix.NFTA_HOOK_HOOKNUM, hook)
		m.Uint32(unix.NFTA_HOOK_PRIORITY, uint32(priority))
	})
	m.String(unix.NFTA_CHAIN_TYPE, "filter")
}

// rule is `ip saddr S ip daddr D meta l4proto P th dport N meta nftrace set 1`.
func (m *marker) rule(chain string) {
	offset, size := uint32(12), uint32(4) // of the source in an IPv4 header
	if m.family == unix.NFPROTO_IPV6 {
		offset, size = 8, 16
	}
	m.begin(unix.NFT_MSG_NEWRULE, "adding the rule of chain %s", chain)
	m.String(unix.NFTA_RULE_TABLE, m.name)
	m.String(unix.NFTA_RULE_CHAIN, chain)
	m.Nest(unix.NFTA_RULE_EXPRESSIONS, func() {
		if m.flow.Source.IsValid() {
			m.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, size)
			m.equals(m.flow.Source.AsSlice())
		}
		m.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset+size, size)
		m.equals(m.flow.Destination.Addr().AsSlice())
		m.expression("meta", func() {
			m.Uint32(unix.NFTA_META_KEY, unix.NFT_META_L4PROTO)
			m.Uint32(unix.NFTA_META_DREG, unix.NFT_REG_1)
		})
		m.equals([]byte{byte(m.flow.Protocol)})
		m.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2)
		m.equals(binary.BigEndian.AppendUint16(nil, m.flow.Destination.Port()))
		m.expression("immediate", func() {
			m.Uint32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_1)
			m.Nest(unix.NFTA_IMMEDIATE_DATA, func() { m.Bytes(unix.NFTA_DATA_VALUE, []byte{1}) })
		})
		m.expression("meta", func() {
			m.Uint32(unix.NFTA_META_KEY, unix.NFT_META_NFTRACE)
			m.Uint32(unix.NFTA_META_SREG, unix.NFT_REG_1)
		})
	})
}

func (m *marker) expression(name string, data func()) {
	m.Nest(unix.NFTA_LIST_ELEM, func() {
		m.String(unix.NFTA_EXPR_NAME, name)
		m.Nest(unix.NFTA_EXPR_DATA, data)
	})
}

func (m *marker) payload(base, offset, size uint32) {
	m.expression("payload", func() {
		m.Uint32(unix.NFTA_PAYLOAD_DREG, unix.NFT_REG_1)
		m.Uint32(unix.NFTA_PAYLOAD_BASE, base)
		m.Uint32(unix.NFTA_PAYLOAD_OFFSET, offset)
		m.Uint32(unix.NFTA_PAYLOAD_LEN, size)
	})
}

func (m *marker) equals(value []byte) {
	m.expression("cmp", func() {
		m.Uint32(unix.NFTA_CMP_SREG, unix.NFT_REG_1)
		m.Uint32(unix.NFTA_CMP_OP, unix.NFT_CMP_EQ)
		m.Nest(unix.NFTA_CMP_DATA, func() { m.Bytes(unix.NFTA_DATA_VALUE, value) })
	})
}
