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
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// Numbers of linux/netfilter/nf_tables.h that x/sys lacks.
const (
	directionOriginal = 0 // IP_CT_DIR_ORIGINAL
	addressTypeLocal  = 2 // RTN_LOCAL
	statusDNAT        = 1 << 5
	stateEstablished  = 1 << 1
	stateRelated      = 1 << 2
	stateNew          = 1 << 3
)

// expressions appends the kernel's instructions for rules of one family.
type expressions struct {
	*nfnl.Messages
	family model.Family
}

// register is the number of the n-th 32-bit register. Those that begin a
// 128-bit one have a name of that size, which the kernel lists them by.
func register(n int) uint32 {
	if n%4 == 0 {
		return unix.NFT_REG_1 + uint32(n/4)
	}
	return unix.NFT_REG32_00 + uint32(n)
}

func (x expressions) rule(rule ruleset.Rule) {
	for _, s := range rule {
		x.statement(s)
	}
}

func (x expressions) statement(s ruleset.Statement) {
	x.condition(s)
	switch s := s.(type) {
	case ruleset.FindID: // meta priority set ... map @map
		x.load(s.Key)
		x.lookup(s.Map, reg(0), false)
		x.setPriority(register(0))
	case ruleset.KeepID: // meta priority set meta priority & ff:ffff
		x.meta(unix.NFT_META_PRIORITY, register(0))
		x.mask(ruleset.IDMask, register(0))
		x.setPriority(register(0))
	case ruleset.ClearID: // meta priority set none
		x.constant(register(0), host32(0))
		x.setPriority(register(0))
	case ruleset.Branch: // meta priority vmap @map
		x.load(s.Key)
		x.lookup(s.Map, new(uint32(unix.NFT_REG_VERDICT)), false)
	case ruleset.Translate: // dnat ip to ... map @map
		x.load(s.Key)
		x.lookup(s.Map, reg(0), false)
		x.dnat()
	case ruleset.Masquerade: // masquerade fully-random
		x.expression("masq", func() { x.Uint32(unix.NFTA_MASQ_FLAGS, unix.NF_NAT_RANGE_PROTO_RANDOM_FULLY) })
	case ruleset.Redirect: // redirect
		x.expression("redir", func() {})
	case ruleset.Reset: // meta l4proto tcp reject with tcp reset
		x.statement(ruleset.IsProtocol(model.TCP))
		x.expression("reject", func() { x.Uint32(unix.NFTA_REJECT_TYPE, unix.NFT_REJECT_TCP_RST) })
	case ruleset.Unreachable: // reject
		x.expression("reject", func() {
			x.Uint32(unix.NFTA_REJECT_TYPE, unix.NFT_REJECT_ICMP_UNREACH)
			x.Uint8(unix.NFTA_REJECT_ICMP_CODE, headers[x.family].portUnreachable)
		})
	case ruleset.Goto: // goto chain
		x.verdict(unix.NFT_GOTO, string(s))
	case ruleset.Drop: // drop
		x.verdict(verdictDrop, "")
	case ruleset.Jump: // jump chain
		x.verdict(unix.NFT_JUMP, string(s))
	case ruleset.Return: // return
		x.verdict(unix.NFT_RETURN, "")
	case ruleset.Remember: // update @map { ... timeout 3h : meta priority }
		x.dynamic(unix.NFT_DYNSET_OP_UPDATE, s.Key, s.Map, s.Timeout)
	case ruleset.Forget: // delete @map { ... : meta priority }
		x.dynamic(operationDelete, s.Key, s.Map, 0)
	}
}

// condition writes a statement that asks something of the packet.
func (x expressions) condition(s ruleset.Statement) {
	switch s := s.(type) {
	case ruleset.InSet: // ip daddr . meta l4proto . th dport @set
		x.loadParts(s.Key, s.Range)
		x.lookup(s.Set, nil, s.Not)
	case ruleset.IsProtocol: // meta l4proto tcp
		x.meta(unix.NFT_META_L4PROTO, register(0))
		x.compare(unix.NFT_CMP_EQ, []byte{byte(s)})
	case ruleset.IsTranslated: // ct status dnat
		x.connection(unix.NFT_CT_STATUS, register(0))
		x.anyBit(statusDNAT)
	case ruleset.IsNew: // ct state new
		x.connection(unix.NFT_CT_STATE, register(0))
		x.anyBit(stateNew)
	case ruleset.IsOngoing: // ct state established,related
		x.connection(unix.NFT_CT_STATE, register(0))
		x.anyBit(stateEstablished | stateRelated)
	case ruleset.IsForHost: // fib daddr type local
		x.addressType(unix.NFTA_FIB_F_DADDR, register(0))
		x.compare(unix.NFT_CMP_EQ, host32(addressTypeLocal))
	case ruleset.IsFromHost: // fib saddr type local
		x.addressType(unix.NFTA_FIB_F_SADDR, register(0))
		x.compare(unix.NFT_CMP_EQ, host32(addressTypeLocal))
	case ruleset.CameInBy: // iifname "lo"
		x.meta(unix.NFT_META_IIFNAME, register(0))
		x.compare(equality(s.Not), interfaceName(s.Interface))
	case ruleset.IsEcho: // icmp type echo-request
		header := headers[x.family]
		x.meta(unix.NFT_META_L4PROTO, register(0))
		x.compare(unix.NFT_CMP_EQ, []byte{header.icmp})
		x.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, register(0))
		x.compare(unix.NFT_CMP_EQ, []byte{header.echoRequest})
	case ruleset.SentTo: // ip daddr 127.0.0.1
		x.loadOne(ruleset.Selector{Field: ruleset.DestinationAddress}, register(0))
		x.compare(unix.NFT_CMP_EQ, netip.Addr(s).AsSlice())
	case ruleset.SentToLoopback: // ip daddr 127.0.0.0/8
		x.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, headers[x.family].destination, 1, register(0))
		x.compare(unix.NFT_CMP_EQ, []byte{127})
	case ruleset.HasFlag: // meta priority & 8000:0 == 8000:0
		x.meta(unix.NFT_META_PRIORITY, register(0))
		x.mask(uint32(s), register(0))
		x.compare(unix.NFT_CMP_EQ, host32(uint32(s)))
	case ruleset.InShard: // jhash ip daddr . th dport mod 32 seed 0x5eed 5
		x.frontendHash()
		x.compare(unix.NFT_CMP_EQ, host32(uint32(s)))
	}
}

func equality(not bool) uint32 {
	if not {
		return unix.NFT_CMP_NEQ
	}
	return unix.NFT_CMP_EQ
}

// interfaceName is a name as the kernel compares it: padded to its full size,
// or as short as a prefix.
func interfaceName(name string) []byte {
	if prefix, ok := strings.CutSuffix(name, "*"); ok {
		return []byte(prefix)
	}
	return append([]byte(name), make([]byte, unix.IFNAMSIZ-len(name))...)
}

const verdictDrop = 0 // NF_DROP

func reg(n int) *uint32      { return new(register(n)) }
func host32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

func (x expressions) expression(name string, data func()) {
	x.Nest(unix.NFTA_LIST_ELEM, func() {
		x.String(unix.NFTA_EXPR_NAME, name)
		x.Nest(unix.NFTA_EXPR_DATA, data)
	})
}

func (x expressions) meta(key, to uint32) {
	x.expression("meta", func() {
		x.Uint32(unix.NFTA_META_KEY, key)
		x.Uint32(unix.NFTA_META_DREG, to)
	})
}

func (x expressions) setPriority(from uint32) {
	x.expression("meta", func() {
		x.Uint32(unix.NFTA_META_KEY, unix.NFT_META_PRIORITY)
		x.Uint32(unix.NFTA_META_SREG, from)
	})
}

func (x expressions) connection(key, to uint32) {
	x.expression("ct", func() {
		x.Uint32(unix.NFTA_CT_KEY, key)
		x.Uint32(unix.NFTA_CT_DREG, to)
	})
}

func (x expressions) originalTuple(key, to uint32) {
	x.expression("ct", func() {
		x.Uint32(unix.NFTA_CT_KEY, key)
		x.Uint32(unix.NFTA_CT_DREG, to)
		x.Uint8(unix.NFTA_CT_DIRECTION, directionOriginal)
	})
}

func (x expressions) payload(base, offset, size, to uint32) {
	x.expression("payload", func() {
		x.Uint32(unix.NFTA_PAYLOAD_DREG, to)
		x.Uint32(unix.NFTA_PAYLOAD_BASE, base)
		x.Uint32(unix.NFTA_PAYLOAD_OFFSET, offset)
		x.Uint32(unix.NFTA_PAYLOAD_LEN, size)
	})
}

// swapProtocol is what nft does to a protocol in a key with ranges, because it
// takes it for a number in the machine's order. It is a single byte, so nothing
// is swapped.
func (x expressions) swapProtocol(register uint32) {
	x.expression("byteorder", func() {
		x.Uint32(unix.NFTA_BYTEORDER_SREG, register)
		x.Uint32(unix.NFTA_BYTEORDER_DREG, register)
		x.Uint32(unix.NFTA_BYTEORDER_OP, unix.NFT_BYTEORDER_HTON)
		x.Uint32(unix.NFTA_BYTEORDER_LEN, 1)
		x.Uint32(unix.NFTA_BYTEORDER_SIZE, 2)
	})
}

func (x expressions) random(modulus, to uint32) {
	x.expression("numgen", func() {
		x.Uint32(unix.NFTA_NG_DREG, to)
		x.Uint32(unix.NFTA_NG_MODULUS, modulus)
		x.Uint32(unix.NFTA_NG_TYPE, unix.NFT_NG_RANDOM)
		x.Uint32(unix.NFTA_NG_OFFSET, 0)
	})
}

func (x expressions) addressType(of, to uint32) {
	x.expression("fib", func() {
		x.Uint32(unix.NFTA_FIB_FLAGS, of)
		x.Uint32(unix.NFTA_FIB_RESULT, unix.NFT_FIB_RESULT_ADDRTYPE)
		x.Uint32(unix.NFTA_FIB_DREG, to)
	})
}

// mask leaves only some bits of the host-order number in a register.
func (x expressions) mask(bits, register uint32) {
	x.expression("bitwise", func() {
		x.Uint32(unix.NFTA_BITWISE_SREG, register)
		x.Uint32(unix.NFTA_BITWISE_DREG, register)
		x.Uint32(unix.NFTA_BITWISE_LEN, 4)
		x.value(unix.NFTA_BITWISE_MASK, host32(bits))
		x.value(unix.NFTA_BITWISE_XOR, host32(0))
	})
}

// anyBit holds if the host-order number in the first register has bit set.
func (x expressions) anyBit(bit uint32) {
	x.mask(bit, register(0))
	x.compare(unix.NFT_CMP_NEQ, host32(0))
}

func (x expressions) compare(op uint32, with []byte) {
	x.expression("cmp", func() {
		x.Uint32(unix.NFTA_CMP_SREG, register(0))
		x.Uint32(unix.NFTA_CMP_OP, op)
		x.value(unix.NFTA_CMP_DATA, with)
	})
}

func (x expressions) constant(to uint32, value []byte) {
	x.expression("immediate", func() {
		x.Uint32(unix.NFTA_IMMEDIATE_DREG, to)
		x.value(unix.NFTA_IMMEDIATE_DATA, value)
	})
}

func (x expressions) value(kind uint16, value []byte) {
	x.Nest(kind, func() { x.Bytes(unix.NFTA_DATA_VALUE, value) })
}

func (x expressions) verdict(code int32, chain string) {
	x.expression("immediate", func() {
		x.Uint32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT)
		x.Nest(unix.NFTA_IMMEDIATE_DATA, func() { verdict(x.Messages, code, chain) })
	})
}

func verdict(m *nfnl.Messages, code int32, chain string) {
	m.Nest(unix.NFTA_DATA_VERDICT, func() {
		m.Uint32(unix.NFTA_VERDICT_CODE, uint32(code))
		if chain != "" {
			m.String(unix.NFTA_VERDICT_CHAIN, chain)
		}
	})
}

// lookup finds the key at the first register in a set; the data goes to the
// register to, which nil spares.
func (x expressions) lookup(set string, to *uint32, not bool) {
	x.expression("lookup", func() {
		x.String(unix.NFTA_LOOKUP_SET, set)
		x.Uint32(unix.NFTA_LOOKUP_SREG, register(0))
		if to != nil {
			x.Uint32(unix.NFTA_LOOKUP_DREG, *to)
		}
		if not {
			x.Uint32(unix.NFTA_LOOKUP_FLAGS, unix.NFT_LOOKUP_F_INV)
		}
	})
}

// dnat translates to the address and port at the first registers.
func (x expressions) dnat() {
	port := register(ruleset.Key{{Field: ruleset.DestinationAddress}}.Size(x.family) / 4)
	x.expression("nat", func() {
		x.Uint32(unix.NFTA_NAT_TYPE, unix.NFT_NAT_DNAT)
		x.Uint32(unix.NFTA_NAT_FAMILY, uint32(protocolFamily(x.family)))
		x.Uint32(unix.NFTA_NAT_REG_ADDR_MIN, register(0))
		x.Uint32(unix.NFTA_NAT_REG_PROTO_MIN, port)
	})
}

func protocolFamily(f model.Family) uint8 {
	if f == model.IPv4 {
		return unix.NFPROTO_IPV4
	}
	return unix.NFPROTO_IPV6
}
