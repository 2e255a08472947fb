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
	"net/netip"
	"testing"
)

// The kernel put these clients into these buckets of `jhash saddr mod 1048576
// seed 0x5eed`; package nft's tests ask it again.
func TestAClientsHashIsTheKernels(t *testing.T) {
	for client, want := range map[string]uint32{
		"10.9.9.1": 525544, "10.9.9.77": 556227, "fd00:9::1": 297636, "fd00:9::77": 614360,
	} {
		if got := clientHash(netip.MustParseAddr(client), 1<<20); got != want {
			t.Errorf("%s: got %d, want %d", client, got, want)
		}
	}
}

// Bob Jenkins' own check values of lookup3.
func TestJhashIsLookup3(t *testing.T) {
	const text = "Four score and seven years ago"
	for seed, want := range map[uint32]uint32{0: 0x17770551, 1: 0xcd628161} {
		if got := jhash([]byte(text), seed); got != want {
			t.Errorf("seed %d: got %#x, want %#x", seed, got, want)
		}
	}
	if got := jhash(nil, 0); got != 0xdeadbeef {
		t.Errorf("of nothing: got %#x", got)
	}
}
