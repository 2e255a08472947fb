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
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// operationDelete is NFT_DYNSET_OP_DELETE, since Linux 5.4.
const operationDelete = 2

// dynamic adds, prolongs or deletes the element of a map whose key is key and
// whose data is the packet's priority.
func (x expressions) dynamic(operation uint32, key ruleset.Key, set string, timeout time.Duration) {
	data := register(wordsBeforeScratch)
	for n, s := range key { // of one register each
		if s.Field == ruleset.ClientHash {
			x.clientHash(s.Modulus, data, register(n))
		} else {
			x.loadOne(s, register(n))
		}
	}
	x.meta(unix.NFT_META_PRIORITY, data)
	x.expression("dynset", func() {
		x.String(unix.NFTA_DYNSET_SET_NAME, set)
		x.Uint32(unix.NFTA_DYNSET_OP, operation)
		x.Uint32(unix.NFTA_DYNSET_SREG_KEY, register(0))
		x.Uint32(unix.NFTA_DYNSET_SREG_DATA, data)
		if timeout > 0 {
			x.Bytes(unix.NFTA_DYNSET_TIMEOUT, binary.BigEndian.AppendUint64(nil, uint64(timeout.Milliseconds())))
		}
	})
}

// wordsBeforeScratch is where nft begins to look for a register besides those
// of a key. Any would do, but only with the same ones are rules that nft
// loaded known as ours.
const wordsBeforeScratch = 4

// clientHash is jhash of the source address.
func (x expressions) clientHash(modulus, from, to uint32) {
	header := headers[x.family]
	x.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, header.source, header.size, from)
	x.hash(header.size, modulus, from, to)
}

// frontendHash hashes the destination's address and port, padded to a register.
func (x expressions) frontendHash() {
	const from = 4 // nft keeps the first ones for the hash
	size := headers[x.family].size
	x.loadOne(ruleset.Selector{Field: ruleset.DestinationAddress}, register(from))
	x.loadOne(ruleset.Selector{Field: ruleset.DestinationPort}, register(from+int(size)/4))
	x.hash(size+4, ruleset.SourceShards, register(from), register(0))
}

func (x expressions) hash(size, modulus, from, to uint32) {
	x.expression("hash", func() {
		x.Uint32(unix.NFTA_HASH_SREG, from)
		x.Uint32(unix.NFTA_HASH_DREG, to)
		x.Uint32(unix.NFTA_HASH_LEN, size)
		x.Uint32(unix.NFTA_HASH_MODULUS, modulus)
		x.Uint32(unix.NFTA_HASH_SEED, ruleset.HashSeed)
		x.Uint32(unix.NFTA_HASH_TYPE, unix.NFT_HASH_JENKINS)
	})
}
