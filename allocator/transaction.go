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

// Transaction makes allocations in several ranges one step. Numbers are taken at
// once, so that nobody else can take them, and given back by Revert; numbers to
// be released stay taken until Commit, because to leak is better than to hand a
// number out twice. Neither Commit nor Revert can fail, and after either the
// transaction is empty and may be used again.
//
// The zero value is ready. It is not safe for concurrent use.
type Transaction struct {
	taken    []step
	released []step
}

type step struct {
	bits   *bitmap
	offset uint64
}

// AllocateIn is Allocate, undone by Revert.
func (r *Range[N]) AllocateIn(tx *Transaction, number N) error {
	if err := r.Allocate(number); err != nil {
		return err
	}
	r.taken(tx, number)
	return nil
}

// AllocateNextIn is AllocateNext, undone by Revert.
func (r *Range[N]) AllocateNextIn(tx *Transaction) (N, error) {
	number, err := r.AllocateNext()
	if err == nil {
		r.taken(tx, number)
	}
	return number, err
}

// ReleaseIn is Release, done by Commit.
func (r *Range[N]) ReleaseIn(tx *Transaction, number N) {
	if offset, ok := r.space.offset(number); ok {
		tx.released = append(tx.released, step{bits: r.bits, offset: offset})
	}
}

func (r *Range[N]) taken(tx *Transaction, number N) {
	offset, _ := r.space.offset(number)
	tx.taken = append(tx.taken, step{bits: r.bits, offset: offset})
}

// Commit keeps what was allocated and releases what was to be released.
func (tx *Transaction) Commit() { tx.finish(tx.released) }

// Revert gives back what was allocated and releases nothing.
func (tx *Transaction) Revert() { tx.finish(tx.taken) }

func (tx *Transaction) finish(clear []step) {
	for _, s := range clear {
		s.bits.clear(s.offset)
	}
	tx.taken, tx.released = tx.taken[:0], tx.released[:0]
}
