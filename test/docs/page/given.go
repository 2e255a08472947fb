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

package page

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// By is the text of the note "run by".
var By = regexp.MustCompile(`^(Test\w+(?:, Test\w+)*) in (\S+)$`)

// Given are the blocks of a page that say that a test runs them. It has to take
// each of them: a block that is new on the page makes it fail.
type Given struct {
	page   string
	blocks []Block

	mutex sync.Mutex
	taken []bool
}

// RunBy gives the blocks of a page, by its path in the repository, that say they
// are run by this test, of this folder.
func RunBy(t *testing.T, name string) *Given {
	t.Helper()
	p, err := Read(name)
	if err != nil {
		t.Fatal(err)
	}
	test, _, _ := strings.Cut(t.Name(), "/")
	folder := here(t)
	g := &Given{page: name}
	for _, b := range p.Blocks {
		by, _ := b.Note("run by")
		if m := By.FindStringSubmatch(by); m != nil && m[2] == folder && slices.Contains(strings.Split(m[1], ", "), test) {
			g.blocks = append(g.blocks, b)
		}
	}
	if len(g.blocks) == 0 {
		t.Fatalf("no block of %s says that it is run by %s in %s", name, test, folder)
	}
	g.taken = make([]bool, len(g.blocks))
	t.Cleanup(func() { g.expectTaken(t) })
	return g
}

func here(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	folder, err := filepath.Rel(root(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

func (g *Given) expectTaken(t *testing.T) {
	t.Helper()
	if only := flag.Lookup("test.run"); t.Failed() || t.Skipped() || only != nil && strings.Contains(only.Value.String(), "/") {
		return // not all of it was run
	}
	for n, b := range g.blocks {
		if !g.taken[n] {
			t.Errorf("%s:%d: %s has not run it", g.page, b.Line, t.Name())
		}
	}
}

// Next is the next block that was not taken.
func (g *Given) Next(t *testing.T) Block {
	t.Helper()
	g.mutex.Lock()
	defer g.mutex.Unlock()
	n := slices.Index(g.taken, false)
	if n < 0 {
		t.Fatalf("%s has no more blocks for this test", g.page)
	}
	g.taken[n] = true
	return g.blocks[n]
}

// Section are the blocks below a heading of the second level. They may be taken
// more than once.
func (g *Given) Section(t *testing.T, heading string) []Block {
	t.Helper()
	g.mutex.Lock()
	defer g.mutex.Unlock()
	var found []Block
	for n, b := range g.blocks {
		if b.Section == heading {
			g.taken[n] = true
			found = append(found, b)
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s has no blocks for this test below %q", g.page, heading)
	}
	return found
}
