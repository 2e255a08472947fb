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

import (
	"maps"
	"slices"
)

// bitmap is a sparse set of offsets 0..size-1, of any size up to 2^64-1.
//
// Pages exist only where something is used, so memory follows use and not size.
// Which pages are full is a bitmap again, one level up, so a search reads one
// page per level however full the range is: one level for NodePorts, two for an
// IPv4 /12, six for an IPv6 /64.
//
//	level 2   1 bit = a full page of level 1
//	level 1   1 bit = a full page of level 0
//	level 0   1 bit = a used offset
type bitmap struct {
	size  uint64
	used  uint64
	pages map[uint64]*page
	full  *bitmap // nil until one of several pages is full
	spare *page   // the last page that became empty, so that toggling one offset allocates nothing
}

func newBitmap(size uint64) *bitmap {
	return &bitmap{size: size, pages: map[uint64]*page{}}
}

func (b *bitmap) pageCount() uint64 {
	if b.size == 0 {
		return 0
	}
	return (b.size-1)>>pageShift + 1
}

// padding counts the bits of a page that lie past the end of the range. They
// are marked used, so that the last page can be full like any other.
func (b *bitmap) padding(index uint64) int {
	if rest := b.size & pageMask; rest != 0 && index == b.pageCount()-1 {
		return int(pageSize - rest)
	}
	return 0
}

func (b *bitmap) has(offset uint64) bool {
	p := b.pages[offset>>pageShift]
	return p != nil && p.has(offset&pageMask)
}

// set marks an offset used and reports whether it was free.
func (b *bitmap) set(offset uint64) bool {
	index, bit := offset>>pageShift, offset&pageMask
	p := b.pages[index]
	if p == nil {
		p = b.newPage(index)
	}
	if p.has(bit) {
		return false
	}
	p.set(bit)
	b.used++
	if p.used == pageSize {
		b.markFull(index)
	}
	return true
}

// clear marks an offset free and reports whether it was used.
func (b *bitmap) clear(offset uint64) bool {
	index, bit := offset>>pageShift, offset&pageMask
	p := b.pages[index]
	if p == nil || !p.has(bit) {
		return false
	}
	if p.used == pageSize && b.full != nil {
		b.full.clear(index)
	}
	p.clear(bit)
	b.used--
	if p.used == b.padding(index) {
		delete(b.pages, index)
		b.spare = p
	}
	return true
}

// markFull tells the level above, which a bitmap of one page does without.
func (b *bitmap) markFull(index uint64) {
	if b.pageCount() == 1 {
		return
	}
	if b.full == nil {
		b.full = newBitmap(b.pageCount())
	}
	b.full.set(index)
}

func (b *bitmap) newPage(index uint64) *page {
	p := b.spare
	b.spare = nil
	if p == nil {
		p = &page{}
	}
	*p = page{}
	for bit := pageSize - b.padding(index); bit < pageSize; bit++ {
		p.set(uint64(bit))
	}
	b.pages[index] = p
	return p
}

// nextFree is the first free offset at or after from.
func (b *bitmap) nextFree(from uint64) (uint64, bool) {
	if from >= b.size {
		return 0, false
	}
	index := from >> pageShift
	p := b.pages[index]
	if p == nil {
		return from, true
	}
	if bit, ok := p.nextFree(from & pageMask); ok {
		return index<<pageShift | bit, true
	}
	return b.firstFreeFromPage(index + 1)
}

func (b *bitmap) firstFreeFromPage(index uint64) (uint64, bool) {
	if index >= b.pageCount() {
		return 0, false
	}
	if b.full != nil {
		open, ok := b.full.nextFree(index)
		if !ok {
			return 0, false
		}
		index = open
	}
	p := b.pages[index]
	if p == nil {
		return index << pageShift, true
	}
	bit, ok := p.nextFree(0)
	return index<<pageShift | bit, ok
}

// nextUsed is the first used offset at or after from and below limit, else
// limit. Its cost is the number of pages in between: callers bound the limit.
func (b *bitmap) nextUsed(from, limit uint64) uint64 {
	limit = min(limit, b.size)
	for from < limit {
		index := from >> pageShift
		if p := b.pages[index]; p != nil {
			if bit, ok := p.nextUsed(from & pageMask); ok {
				return min(index<<pageShift|bit, limit)
			}
		}
		next := (index + 1) << pageShift
		if next <= from { // the last page of 2^64
			break
		}
		from = next
	}
	return limit
}

// countFree counts what is free from low on and below high, run by run.
func (b *bitmap) countFree(low, high uint64) uint64 {
	var count uint64
	for low < high {
		first, ok := b.nextFree(low)
		if !ok || first >= high {
			break
		}
		low = b.nextUsed(first, high)
		count += low - first
	}
	return count
}

// forEach calls visit with each used offset in ascending order.
func (b *bitmap) forEach(visit func(uint64)) {
	for _, index := range slices.Sorted(maps.Keys(b.pages)) {
		p := b.pages[index]
		end := uint64(pageSize - b.padding(index))
		for bit, ok := p.nextUsed(0); ok && bit < end; {
			visit(index<<pageShift | bit)
			if bit+1 == pageSize {
				break
			}
			bit, ok = p.nextUsed(bit + 1)
		}
	}
}
