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
	"testing"
)

// A fuzzed program runs against the bitmap and against a plain map. Sizes are
// around the edges of words, pages and levels; the window of offsets is small
// and lies at the end, so that pages fill up and the summaries are used.
func FuzzBitmapIsASet(f *testing.F) {
	f.Add(uint64(2768), []byte{0, 1, 2, 3, 1, 1, 2, 9})
	f.Add(uint64(4096), []byte("set, clear and look"))
	f.Add(uint64(4097), []byte{3, 255, 3, 255, 1, 0, 4, 4})
	f.Add(uint64(1<<20), []byte{3, 250, 1, 7, 3, 250, 2, 0})
	f.Add(^uint64(0), []byte{3, 255, 0, 9, 2, 1, 1, 0})
	f.Fuzz(func(t *testing.T, size uint64, program []byte) {
		if size == 0 {
			return
		}
		b, model := newBitmap(size), map[uint64]bool{}
		window := min(size, 3*pageSize)
		base := size - window
		for i := 0; i+1 < len(program) && i < 400; i += 2 {
			offset := base + uint64(program[i+1])*uint64(program[i])*53%window
			switch program[i] % 4 {
			case 0:
				if b.set(offset) == model[offset] {
					t.Fatalf("set(%d) disagrees with the model, which has %v", offset, model[offset])
				}
				model[offset] = true
			case 1:
				if b.clear(offset) != model[offset] {
					t.Fatalf("clear(%d) disagrees with the model, which has %v", offset, model[offset])
				}
				delete(model, offset)
			case 2:
				checkNextFree(t, b, model, offset)
			case 3: // fill a stretch, so that words and pages become full
				for n := uint64(0); n < 700 && offset+n < size && offset+n >= offset; n++ {
					b.set(offset + n)
					model[offset+n] = true
				}
			}
		}
		checkAgainstModel(t, b, model, base)
	})
}

func checkNextFree(t *testing.T, b *bitmap, model map[uint64]bool, from uint64) {
	t.Helper()
	want, found := from, true
	for model[want] {
		if want++; want >= b.size {
			found = false
			break
		}
	}
	if got, ok := b.nextFree(from); ok != found || ok && got != want {
		t.Fatalf("nextFree(%d) is %d, %v; the model says %d, %v", from, got, ok, want, found)
	}
}

func checkAgainstModel(t *testing.T, b *bitmap, model map[uint64]bool, base uint64) {
	t.Helper()
	if b.used != uint64(len(model)) {
		t.Fatalf("used is %d, the model holds %d", b.used, len(model))
	}
	last, visited := uint64(0), 0
	b.forEach(func(offset uint64) {
		if !model[offset] || visited > 0 && offset <= last {
			t.Fatalf("forEach visits %d after %d; the model has it: %v", offset, last, model[offset])
		}
		last = offset
		visited++
	})
	if visited != len(model) {
		t.Fatalf("forEach visits %d of %d", visited, len(model))
	}
	checkNextFree(t, b, model, base)
	for offset := range model {
		b.clear(offset)
	}
	if len(b.pages) != 0 || b.full != nil && b.full.used != 0 {
		t.Fatalf("after clearing all, %d pages are left", len(b.pages))
	}
}

// Every number of a range is handed out exactly once, at any fill and size, and
// after each release exactly the released one comes back.
func TestEveryOffsetIsFoundInAFullBitmap(t *testing.T) {
	for _, size := range []uint64{1, 63, 64, 65, 4095, 4096, 4097, 2768, 1 << 14, 1<<18 + 5} {
		r := newRange[uint64](plain{}, size, 0)
		for range size {
			if _, err := r.AllocateNext(); err != nil {
				t.Fatalf("size %d: full at %d", size, r.Used())
			}
		}
		for offset := uint64(0); offset < size; offset += 1 + size/500 {
			r.Release(offset)
			if got, err := r.AllocateNext(); err != nil || got != offset {
				t.Fatalf("size %d: released %d, got %d, %v", size, offset, got, err)
			}
		}
	}
}

// plain is the space in which offsets are the numbers.
type plain struct{}

func (plain) offset(n uint64) (uint64, bool) { return n, true }
func (plain) number(o uint64) uint64         { return o }
func (plain) text(uint64) string             { return "" }
func (plain) String() string                 { return "plain" }
