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

// Package page reads the manual: its pages, their fenced blocks, and what
// comments before a block say of it. test/docs runs what pages have; a test that
// a page names as the one that runs a block takes the commands from there.
package page

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// A Page is one file of the manual.
type Page struct {
	Name   string // its path in the repository
	Prose  string // its text, with fenced blocks and comments left blank
	Blocks []Block
}

// A Block is what stands between two fences, with what comments before it say.
type Block struct {
	Line     int    // of the first fence
	Section  string // the heading of the second level that it stands below
	Language string
	Lines    []string
	Notes    []Note
}

// A Note is a comment that stands right before a block.
type Note struct{ Name, Text string }

// All are the pages of the repository's top and of docs/, README.md first.
func All() ([]Page, error) {
	names, err := filepath.Glob(filepath.Join(root(), "*.md"))
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(filepath.Join(root(), "docs"), func(path string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var all []Page
	for _, name := range names {
		short, err := filepath.Rel(root(), name)
		if err != nil {
			return nil, err
		}
		p, err := Read(short)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	// README.md starts the cluster that the others use.
	slices.SortStableFunc(all, func(a, b Page) int { return strings.Count(a.Name, "/") - strings.Count(b.Name, "/") })
	return all, nil
}

// Read reads a page, by its path in the repository.
func Read(name string) (Page, error) {
	text, err := os.ReadFile(filepath.Join(root(), name))
	return parse(name, string(text)), err
}

// root is the repository's top directory.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

var (
	fence   = regexp.MustCompile("^ *(```+|~~~+) *([a-z]*)")
	comment = regexp.MustCompile(`(?s)^<!--\s*([a-z ]+?)\s*(?::\s*(.*?))?\s*-->$`)
)

func parse(name, text string) Page {
	p := Page{Name: name}
	var prose strings.Builder
	var notes []Note
	var section string
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		open := fence.FindStringSubmatch(line)
		switch {
		case open != nil:
			b := Block{Line: i + 1, Section: section, Language: open[2], Notes: notes}
			notes = nil
			for i++; i < len(lines) && strings.TrimSpace(lines[i]) != open[1]; i++ {
				b.Lines = append(b.Lines, lines[i])
				prose.WriteString("\n")
			}
			p.Blocks = append(p.Blocks, b)
			prose.WriteString("\n\n")
		case strings.HasPrefix(line, "<!--"):
			var whole []string
			for ; i < len(lines); i++ {
				whole = append(whole, lines[i])
				prose.WriteString("\n")
				if strings.HasSuffix(lines[i], "-->") {
					break
				}
			}
			if m := comment.FindStringSubmatch(strings.Join(whole, "\n")); m != nil {
				notes = append(notes, Note{m[1], m[2]})
			}
		default:
			if strings.TrimSpace(line) != "" {
				notes = nil
			}
			if title, isTitle := strings.CutPrefix(line, "## "); isTitle {
				section = title
			}
			prose.WriteString(line + "\n")
		}
	}
	p.Prose = prose.String()
	return p
}

// Note is the text of a note of the block, if it has it.
func (b Block) Note(name string) (text string, has bool) {
	for _, n := range b.Notes {
		if n.Name == name {
			return n.Text, true
		}
	}
	return "", false
}

// Text is all of the block.
func (b Block) Text() string { return strings.Join(b.Lines, "\n") + "\n" }

var remark = regexp.MustCompile(`(^| +)#.*$`)

// Commands are a block's commands, one each, without remarks and without what the
// page shows of their output.
func (b Block) Commands() []string {
	var all []string
	goesOn := false
	for _, line := range b.Lines {
		command, typed := strings.CutPrefix(line, "$ ")
		if b.Language == "console" && !typed && !goesOn {
			continue
		}
		command = remark.ReplaceAllString(command, "")
		if command == "" {
			continue
		}
		if goesOn {
			all[len(all)-1] += " " + strings.TrimSpace(command)
		} else {
			all = append(all, command)
		}
		last := &all[len(all)-1]
		*last, goesOn = strings.CutSuffix(*last, "\\")
		*last = strings.TrimRight(*last, " ")
	}
	return all
}
