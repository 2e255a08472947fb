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

import "fmt"

// Snapshot is what a range holds, as a value that can be kept or compared.
type Snapshot struct {
	Range string
	Runs  []Run
}

// Run is Count allocated numbers in a row, from the First-th of the range on.
type Run struct{ First, Count uint64 }

// Snapshot copies what is allocated.
func (r *Range[N]) Snapshot() Snapshot {
	snapshot := Snapshot{Range: r.String()}
	r.bits.forEach(func(offset uint64) {
		if last := len(snapshot.Runs) - 1; last >= 0 && snapshot.Runs[last].First+snapshot.Runs[last].Count == offset {
			snapshot.Runs[last].Count++
			return
		}
		snapshot.Runs = append(snapshot.Runs, Run{First: offset, Count: 1})
	})
	return snapshot
}

// Restore replaces what is allocated by a snapshot of the same range. On error,
// ErrMismatchedRange or a *NotInRangeError, the range is as it was.
func (r *Range[N]) Restore(snapshot Snapshot) error {
	if snapshot.Range != r.String() {
		return fmt.Errorf("restoring %s from a snapshot of %s: %w", r.String(), snapshot.Range, ErrMismatchedRange)
	}
	bits := newBitmap(r.bits.size)
	for _, run := range snapshot.Runs {
		if run.First >= bits.size || run.Count > bits.size-run.First {
			return &NotInRangeError{Number: fmt.Sprintf("run of %d from offset %d", run.Count, run.First), Range: r.String()}
		}
		for offset := run.First; offset < run.First+run.Count; offset++ {
			bits.set(offset)
		}
	}
	r.bits = bits
	return nil
}
