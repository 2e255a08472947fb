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
	"errors"
	"fmt"
)

var (
	// ErrFull says that a range has no free number left in either band.
	ErrFull = errors.New("range is full")
	// ErrAllocated says that the requested number is taken.
	ErrAllocated = errors.New("already allocated")
	// ErrMismatchedRange says that a snapshot was taken of another range.
	ErrMismatchedRange = errors.New("snapshot is of another range")
)

// NotInRangeError says which number lies outside of which range.
type NotInRangeError struct {
	Number string
	Range  string
}

// Error names the number and the range.
func (e *NotInRangeError) Error() string {
	return fmt.Sprintf("%s is not in %s", e.Number, e.Range)
}
