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

// Range hands out the numbers of one contiguous range, each at most once.
//
//	NodePorts 30000-32767                          10.96.0.0/12
//
//	offset   0          86                 2767    0         256                    1048573
//	         |  static  |  dynamic            |    |  static |  dynamic                   |
//	number   30000      30086             32767    10.96.0.1 10.96.1.1       10.111.255.254
//
// Allocate takes any free number. AllocateNext starts at a random place of the
// dynamic band and turns to the static band only when the dynamic one is full.
// The network address, and for IPv4 the broadcast address, are not in the range
// and can therefore never be allocated or released by accident.
//
// A Range is not safe for concurrent use; Services is.
type Range[N any] struct {
	space  space[N]
	bits   *bitmap
	static uint64    // the offsets below it are the static band
	bands  [2]window // the dynamic one, then the static one
	random func(uint64) uint64
}

// space maps the numbers of a range to offsets 0..size-1 and back.
type space[N any] interface {
	offset(N) (uint64, bool)
	number(uint64) N
	text(N) string
	String() string
}

func newRange[N any](space space[N], size, static uint64) *Range[N] {
	bands := [2]window{newWindow(offsets{static, size}), newWindow(offsets{0, static})}
	return &Range[N]{space: space, bits: newBitmap(size), static: static, bands: bands, random: random}
}

// Allocate takes the number. The error is ErrAllocated or a *NotInRangeError.
func (r *Range[N]) Allocate(number N) error {
	offset, ok := r.space.offset(number)
	if !ok {
		return &NotInRangeError{Number: r.space.text(number), Range: r.String()}
	}
	if !r.bits.set(offset) {
		return ErrAllocated
	}
	return nil
}

// AllocateNext takes a free number, the error is ErrFull.
func (r *Range[N]) AllocateNext() (N, error) {
	for i := range r.bands {
		if number, ok := r.allocateIn(&r.bands[i]); ok {
			return number, nil
		}
	}
	var none N
	return none, ErrFull
}

// Release frees the number. Releasing what is not held is a no-op.
func (r *Range[N]) Release(number N) {
	if offset, ok := r.space.offset(number); ok {
		r.bits.clear(offset)
	}
}

// Has reports whether the number is allocated.
func (r *Range[N]) Has(number N) bool {
	offset, ok := r.space.offset(number)
	return ok && r.bits.has(offset)
}

// Contains reports whether the number belongs to the range, allocated or not.
func (r *Range[N]) Contains(number N) bool {
	_, ok := r.space.offset(number)
	return ok
}

// Free counts the numbers that can still be allocated.
func (r *Range[N]) Free() uint64 { return r.bits.size - r.bits.used }

// Used counts the allocated numbers.
func (r *Range[N]) Used() uint64 { return r.bits.used }

// ForEach calls visit with each allocated number in ascending order.
func (r *Range[N]) ForEach(visit func(N)) {
	r.bits.forEach(func(offset uint64) { visit(r.space.number(offset)) })
}

// String is how users write the range: 30000-32767, 10.96.0.0/12.
func (r *Range[N]) String() string { return r.space.String() }
