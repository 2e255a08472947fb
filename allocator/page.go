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

package allocator

import "math/bits"

const (
	pageShift = 12
	pageSize  = 1 << pageShift // offsets in a page
	pageMask  = pageSize - 1
)

// page is 4096 bits with a summary: one bit of full per word of words.
//
//	full   1101...            word 2 has room
//	words  ffff ffff 7fff ffff ...
type page struct {
	words [pageSize / 64]uint64
	full  uint64
	used  int
}

func (p *page) has(bit uint64) bool { return p.words[bit>>6]&(1<<(bit&63)) != 0 }

func (p *page) set(bit uint64) {
	word := bit >> 6
	p.words[word] |= 1 << (bit & 63)
	p.used++
	if p.words[word] == ^uint64(0) {
		p.full |= 1 << word
	}
}

func (p *page) clear(bit uint64) {
	word := bit >> 6
	p.words[word] &^= 1 << (bit & 63)
	p.full &^= 1 << word
	p.used--
}

// nextFree is the first free bit at or after from: at most two words are read,
// the summary says which.
func (p *page) nextFree(from uint64) (uint64, bool) {
	word := from >> 6
	if free := ^p.words[word] >> (from & 63); free != 0 {
		return from + uint64(bits.TrailingZeros64(free)), true
	}
	// Shifting by 64 gives 0 in Go, so the last word needs no special case.
	room := ^p.full & (^uint64(0) << (word + 1))
	if room == 0 {
		return 0, false
	}
	word = uint64(bits.TrailingZeros64(room))
	return word<<6 + uint64(bits.TrailingZeros64(^p.words[word])), true
}

// nextUsed is the first used bit at or after from.
func (p *page) nextUsed(from uint64) (uint64, bool) {
	word := from >> 6
	if used := p.words[word] >> (from & 63); used != 0 {
		return from + uint64(bits.TrailingZeros64(used)), true
	}
	for word++; word < uint64(len(p.words)); word++ {
		if used := p.words[word]; used != 0 {
			return word<<6 + uint64(bits.TrailingZeros64(used)), true
		}
	}
	return 0, false
}
