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
	"math/bits"
	"net/netip"
)

// HashSeed is the seed of every jhash expression of ours. It is the same on
// all nodes, so that Maglev chooses alike everywhere.
const HashSeed uint32 = 0x5eed

// ClientBucket is where Affinity keeps the pin of a client: its elements have
// the key id . bucket.
func ClientBucket(client netip.Addr) uint32 { return clientHash(client, clientBuckets) }

// AffinityKey is the key of a client's element of Affinity, given the id of the
// list that it was led to (Trace.List).
func AffinityKey(list uint32, client netip.Addr) string { return drawKey(list, ClientBucket(client)) }

// clientHash is what the kernel's `jhash saddr mod modulus seed 0x5eed` yields
// for a client, 0 to modulus-1.
func clientHash(client netip.Addr, modulus uint32) uint32 {
	scaled, _ := bits.Mul32(jhash(client.AsSlice(), HashSeed), modulus)
	return scaled
}

// jhash is the kernel's function of that name (include/linux/jhash.h), Bob
// Jenkins' lookup3. Whole blocks are read in the machine's byte order.
func jhash(data []byte, seed uint32) uint32 {
	a := 0xdeadbeef + uint32(len(data)) + seed
	b, c := a, a
	for len(data) > 12 {
		a += binary.NativeEndian.Uint32(data)
		b += binary.NativeEndian.Uint32(data[4:])
		c += binary.NativeEndian.Uint32(data[8:])
		a, b, c = jhashMix(a, b, c)
		data = data[12:]
	}
	if len(data) == 0 {
		return c
	}
	var rest [12]byte
	copy(rest[:], data)
	return jhashFinal(
		a+binary.LittleEndian.Uint32(rest[:]),
		b+binary.LittleEndian.Uint32(rest[4:]),
		c+binary.LittleEndian.Uint32(rest[8:]))
}

func jhashMix(a, b, c uint32) (_, _, _ uint32) {
	a = (a - c) ^ bits.RotateLeft32(c, 4)
	c += b
	b = (b - a) ^ bits.RotateLeft32(a, 6)
	a += c
	c = (c - b) ^ bits.RotateLeft32(b, 8)
	b += a
	a = (a - c) ^ bits.RotateLeft32(c, 16)
	c += b
	b = (b - a) ^ bits.RotateLeft32(a, 19)
	a += c
	c = (c - b) ^ bits.RotateLeft32(b, 4)
	b += a
	return a, b, c
}

func jhashFinal(a, b, c uint32) uint32 {
	c = (c ^ b) - bits.RotateLeft32(b, 14)
	a = (a ^ c) - bits.RotateLeft32(c, 11)
	b = (b ^ a) - bits.RotateLeft32(a, 25)
	c = (c ^ b) - bits.RotateLeft32(b, 16)
	a = (a ^ c) - bits.RotateLeft32(c, 4)
	b = (b ^ a) - bits.RotateLeft32(a, 14)
	return (c ^ b) - bits.RotateLeft32(b, 24)
}
