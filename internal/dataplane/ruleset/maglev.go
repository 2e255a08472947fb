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
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

// maglevSizes are the sizes of Maglev tables, primes. The last one is the cap.
// They are few, as most clients move when a Service goes from one to the next.
var maglevSizes = [...]uint32{1021, 8191, 65521}

// maglevSize is the size of the table for n endpoints: the first that gives
// each a hundred entries, so that shares differ by about a percent. It depends
// on nothing but n, or two nodes would choose differently.
func maglevSize(n int) uint32 {
	for _, size := range maglevSizes {
		if uint64(size) >= 100*uint64(n) {
			return size
		}
	}
	return maglevSizes[len(maglevSizes)-1]
}

// maglevClass is the class of the tables of that size.
func maglevClass(size uint32) Class {
	return firstMaglev + Class(slices.Index(maglevSizes[:], size))
}

func maglevName(size uint32) string { return fmt.Sprintf("maglev-%d", size) }

// maglevChain looks the client's hash up in the list's table, which has no gap.
func maglevChain(size uint32) Chain {
	return Chain{Name: maglevName(size), Rules: []Rule{
		{KeepID{}},
		{Translate{Key: Key{is(Protocol), is(ServicePortID), hash(size)}, Map: Endpoints}},
		{Drop{}},
	}}
}

// maglevTable gives each hash value an endpoint (Eisenbud et al., Maglev: A
// Fast and Reliable Software Network Load Balancer, NSDI 2016, section 3.4).
// Every endpoint prefers the entries in an order of its own; they take turns,
// each taking the first of its order that is free. When one endpoint comes or
// goes, few entries of the others change. endpoints are sorted, at least one
// and not more than size, which is a prime.
func maglevTable(endpoints []netip.AddrPort, size uint32) []netip.AddrPort {
	table := make([]netip.AddrPort, size)
	orders := make([]maglevOrder, len(endpoints))
	for i, endpoint := range endpoints {
		orders[i] = newMaglevOrder(endpoint, size)
	}
	for filled := uint32(0); filled < size; {
		for i := 0; i < len(orders) && filled < size; i++ {
			entry := orders[i].next
			for table[entry].IsValid() {
				entry = orders[i].after(entry, size)
			}
			table[entry] = endpoints[i]
			orders[i].next = orders[i].after(entry, size)
			filled++
		}
	}
	return table
}

// maglevOrder walks all entries of a table: size is a prime, so any step from
// 1 to size-1 reaches each of them once.
type maglevOrder struct{ next, step uint32 }

func newMaglevOrder(endpoint netip.AddrPort, size uint32) maglevOrder {
	sum := sha256.Sum256(binary.BigEndian.AppendUint16(endpoint.Addr().AsSlice(), endpoint.Port()))
	return maglevOrder{
		next: uint32(binary.BigEndian.Uint64(sum[:]) % uint64(size)),
		step: uint32(binary.BigEndian.Uint64(sum[8:])%uint64(size-1)) + 1,
	}
}

func (o maglevOrder) after(entry, size uint32) uint32 {
	if entry += o.step; entry >= size {
		entry -= size
	}
	return entry
}
