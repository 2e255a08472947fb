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
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// Contents are what goes into an archive. Its methods may be called at once.
type Contents struct {
	// Names replaces names of objects; nil leaves them.
	Names *Names
	// Most is how many bytes all entries may have, MostOfOne one of them.
	Most, MostOfOne int

	mutex   sync.Mutex
	entries []Entry
	missing []Missing
	// written tells that what comes now is too late.
	written bool
}

// Missing is what is not in the archive, and why.
type Missing struct{ What, Why string }

// Add adds a text. The end of a long one is kept, as the end of a log says most; its
// secrets are taken out first, so that no half of one is left.
func (c *Contents) Add(name, what string, text []byte) {
	c.add(Entry{Name: name, What: what, text: []byte(Redact(string(text)))})
}

// AddDocument adds a text that says nothing in parts: one that is too long is left out.
func (c *Contents) AddDocument(name, what string, text []byte) {
	c.add(Entry{Name: name, What: what, text: []byte(Redact(string(text))), whole: true})
}

// Tail is the end of a text, of so many bytes at most and from the beginning of a line:
// of half a secret nobody can tell that it is one, and what is longer takes long to
// look through.
func Tail(text []byte, most int) []byte {
	if len(text) <= most {
		return text
	}
	from := len(text) - most
	if text[from-1] == '\n' {
		return text[from:]
	}
	_, tail, _ := bytes.Cut(text[from:], []byte("\n"))
	return tail
}

func (c *Contents) add(e Entry) {
	e.Name = clearName(e.Name)
	if over := e.Size() - c.MostOfOne; c.MostOfOne > 0 && over > 0 {
		e.shorten(over)
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if !c.written {
		c.entries = append(c.entries, e)
	}
}

// clearName keeps an entry inside of the folder that it is unpacked into.
func clearName(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		if part == "" || strings.Trim(part, ".") == "" {
			parts[i] = "_"
		}
	}
	return strings.Join(parts, "/")
}

// Miss notes what could not be read.
func (c *Contents) Miss(what, why string, words ...any) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if !c.written {
		c.missing = append(c.missing, Missing{what, Redact(fmt.Sprintf(why, words...))})
	}
}

// settle puts everything in order, within the bounds: what is long goes first.
func (c *Contents) settle() {
	total := 0
	for _, e := range c.entries {
		total += e.Size()
	}
	for was := total + 1; c.Most > 0 && total > c.Most && total < was; {
		was = total // what is left of lists may be more than there may be
		longest := 0
		for i := range c.entries {
			if c.entries[i].Size() > c.entries[longest].Size() {
				longest = i
			}
		}
		e := &c.entries[longest]
		size := e.Size()
		e.shorten(min(size, max(total-c.Most, size/2)))
		total -= size - e.Size()
	}
	c.entries = slices.DeleteFunc(c.entries, func(e Entry) bool {
		if e.whole && e.Cut {
			c.missing = append(c.missing, Missing{e.Name, "it was too long"})
		}
		return e.whole && e.Cut
	})
	slices.SortFunc(c.missing, func(a, b Missing) int { return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Why, b.Why)) })
	c.missing = slices.Compact(c.missing)
	slices.SortFunc(c.entries, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
}

// manifestName is the first entry, which lists the others.
const manifestName = "MANIFEST.txt"

// Write writes the archive, with everything in one folder of that name, and returns
// its list of contents.
func (c *Contents) Write(out io.Writer, folder string, at time.Time) (string, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.written = true
	for i := range c.entries {
		c.entries[i].replace(c.Names)
	}
	c.settle()
	list := c.list()
	packed := gzip.NewWriter(out)
	archive := tar.NewWriter(packed)
	all := append([]Entry{{Name: manifestName, text: []byte(list)}}, c.entries...)
	for _, e := range all {
		header := &tar.Header{Name: folder + "/" + e.Name, Mode: 0o600, Size: int64(e.Size()), ModTime: at, Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(header); err != nil {
			return "", err
		}
		if _, err := e.WriteTo(archive); err != nil {
			return "", err
		}
	}
	if err := archive.Close(); err != nil {
		return "", err
	}
	return list, packed.Close()
}

func (c *Contents) list() string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "FILE\tBYTES\tWHAT")
	for _, e := range c.entries {
		_, _ = fmt.Fprintf(table, "%s\t%d\t%s\n", e.Name, e.Size(), c.Names.Replace(e.what()))
	}
	_ = table.Flush() // into memory
	if len(c.missing) > 0 {
		_, _ = fmt.Fprint(&text, "\nNot in it:\n")
	}
	for _, m := range c.missing {
		_, _ = fmt.Fprintf(&text, "  %s: %s\n", c.Names.Replace(m.What), c.Names.Replace(m.Why))
	}
	return text.String()
}
