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

package bugreport

import (
	"encoding/json"
	"fmt"
	"io"
)

// Entry is a file of the archive: a text, of which the end is kept if there is too
// much of it, or a document in JSON, which is never cut within.
type Entry struct {
	Name string
	What string
	text []byte
	// whole tells of a document that is in the archive as it is or not at all.
	whole bool
	// items are the objects of a list, in place of a text; its first ones are kept,
	// and leftOut is how many more there were, or more than that.
	items   [][]byte
	list    bool
	leftOut int
	more    bool
	// Cut tells that it was longer.
	Cut bool
}

// What stands around and between the objects of a list.
const (
	listBegins  = "{\n \"items\": [\n  "
	listGoesOn  = ",\n  "
	listEnds    = "\n ]\n}\n"
	itemsIndent = "  "
)

// Size is how many bytes it has.
func (e *Entry) Size() int {
	if !e.list {
		return len(e.text)
	}
	size := len(listBegins) + len(listEnds)
	for _, item := range e.items {
		size += len(item) + len(listGoesOn)
	}
	return size - min(len(e.items), 1)*len(listGoesOn)
}

// WriteTo writes what it has.
func (e *Entry) WriteTo(out io.Writer) (int64, error) {
	if !e.list {
		n, err := out.Write(e.text)
		return int64(n), err
	}
	written := int64(0)
	put := func(text string) error {
		n, err := io.WriteString(out, text)
		written += int64(n)
		return err
	}
	if err := put(listBegins); err != nil {
		return written, err
	}
	for i, item := range e.items {
		if i > 0 {
			if err := put(listGoesOn); err != nil {
				return written, err
			}
		}
		if err := put(string(item)); err != nil {
			return written, err
		}
	}
	return written, put(listEnds)
}

// addItem adds an object to a list, without its secrets, and tells whether it had room.
func (e *Entry) addItem(object map[string]any, most int) (bool, error) {
	text, err := json.MarshalIndent(object, itemsIndent, " ")
	if err != nil {
		return false, err
	}
	item := []byte(Redact(string(text)))
	if most > 0 && e.Size()+len(item)+len(listGoesOn) > most {
		e.leave(1)
		return false, nil
	}
	e.items = append(e.items, item)
	return true, nil
}

// leave notes that so many more objects are not in the list.
func (e *Entry) leave(count int) {
	e.leftOut += count
	e.Cut = e.Cut || count > 0
}

// shorten takes away at least so many bytes, if there are.
func (e *Entry) shorten(less int) {
	e.Cut = true
	switch {
	case e.list:
		for less > 0 && len(e.items) > 0 {
			last := len(e.items) - 1
			less -= len(e.items[last]) + len(listGoesOn)
			e.items = e.items[:last]
			e.leftOut++
		}
	case e.whole:
		e.text = nil
	default:
		e.text = e.text[min(less, len(e.text)):]
	}
}

// replace replaces names.
func (e *Entry) replace(names *Names) {
	e.Name, e.text = names.ReplacePath(e.Name), []byte(names.Replace(string(e.text)))
	for i := range e.items {
		e.items[i] = []byte(names.Replace(string(e.items[i])))
	}
}

// what says what it is, and what of it is there.
func (e *Entry) what() string {
	switch {
	case e.list && e.Cut && e.more:
		return fmt.Sprintf("%s, the first %d; at least %d more were left out", e.What, len(e.items), e.leftOut)
	case e.list && e.Cut:
		return fmt.Sprintf("%s, the first %d; %d more were left out", e.What, len(e.items), e.leftOut)
	case e.list:
		return fmt.Sprintf("%s, %d", e.What, len(e.items))
	case e.Cut:
		return e.What + " (its end; it was longer)"
	}
	return e.What
}
