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

package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/docs/page"
	"switchyard.dev/switchyard/test/testenv"
)

// A fate is what the tests do with a block.
type fate string

const (
	shown     fate = "shown"     // no commands
	run       fate = "run"       // here, by TestPages
	delegated fate = "delegated" // run by another test
	left      fate = "left"      // not run, for a reason
)

// The languages of blocks: commands, sessions with what they print, and what is only shown.
var languages = []string{"bash", "console", "yaml", "json", "text", "mermaid", "go", "promql"}

// The notes that a block may have.
var noteNames = []string{"cluster", "fresh cluster", "run before", "run after", "run by", "not run", "numbers differ", "any order", "until interrupted", "exit codes"}

// fateOf says what becomes of a block, or what is wrong with it.
func fateOf(b page.Block) (fate, error) {
	if !slices.Contains(languages, b.Language) {
		return "", fmt.Errorf("the block's language is %q, want one of %v", b.Language, languages)
	}
	for _, n := range b.Notes {
		if !slices.Contains(noteNames, n.Name) {
			return "", fmt.Errorf("the note %q is none of %v", n.Name, noteNames)
		}
	}
	if !hasCommands(b) {
		if b.Language == "text" && slices.ContainsFunc(b.Lines, isPrompt) {
			return "", fmt.Errorf("a block with commands is console or bash")
		}
		return shown, nil
	}
	if b.Language == "console" && !slices.ContainsFunc(b.Lines, isPrompt) {
		return "", fmt.Errorf("a console block has commands, in lines that begin with \"$ \"")
	}
	if _, has := b.Note("exit codes"); has && b.Language != "console" {
		return "", fmt.Errorf("a %s block has to succeed: exit codes are said of console blocks", b.Language)
	}
	if reason, has := b.Note("not run"); has {
		if reason == "" {
			return "", fmt.Errorf("say why it is not run")
		}
		return left, nil
	}
	if _, has := b.Note("run by"); has {
		return delegated, nil
	}
	return run, nil
}

func isPrompt(line string) bool { return strings.HasPrefix(line, "$ ") }

// hasCommands is also true of manifests of whole objects: they are applied.
func hasCommands(b page.Block) bool {
	switch b.Language {
	case "bash", "console":
		return true
	case "yaml":
		return strings.HasPrefix(b.Text(), "apiVersion:")
	}
	return false
}

// A source is what the tests of a folder have.
type source struct {
	functions, strings map[string]bool
	takes              bool // blocks by page.RunBy
}

func sourceOf(folder string) (source, error) {
	s := source{functions: map[string]bool{}, strings: map[string]bool{}}
	files, err := filepath.Glob(filepath.Join(testenv.Root(), folder, "*_test.go"))
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return s, err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				s.functions[n.Name.Name] = true
			case *ast.SelectorExpr:
				s.takes = s.takes || n.Sel.Name == "RunBy"
			case *ast.BasicLit:
				text, _ := strconv.Unquote(n.Value)
				for up := true; up; {
					text, up = strings.CutPrefix(text, "../")
				}
				s.strings[text] = true
			}
			return true
		})
	}
	return s, err
}

// judged says what is wrong with who runs a block: its tests have to be there, and
// read this page. With page.RunBy they take all that names them. Other modules look
// for commands by how they begin.
func judged(name string, b page.Block, by string) error {
	m := page.By.FindStringSubmatch(by)
	if m == nil {
		return fmt.Errorf("%q is not: TestName in FOLDER", by)
	}
	s, err := sourceOf(m[2])
	if err != nil {
		return err
	}
	for test := range strings.SplitSeq(m[1], ", ") {
		if !s.functions[test] {
			return fmt.Errorf("there is no %s in %s", test, m[2])
		}
	}
	if !s.strings[name] {
		return fmt.Errorf("nothing in the tests of %s reads %s", m[2], name)
	}
	for _, command := range b.Commands() {
		known := func(text string) bool { return len(text) > 3 && strings.HasPrefix(command+" ", text+" ") }
		if !s.takes && !slices.ContainsFunc(slices.Collect(maps.Keys(s.strings)), known) {
			return fmt.Errorf("nothing in the tests of %s looks for %q", m[2], command)
		}
	}
	return nil
}

// integration is what continuous integration runs. Blocks name it in place of a test.
const integration = ".ci/run"

// integrated says which command of a block is neither a line of it nor one that
// another block has, and that is run there.
func integrated(b page.Block, elsewhere []string) error {
	text, err := os.ReadFile(filepath.Join(testenv.Root(), integration))
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	for _, command := range b.Commands() {
		if !slices.Contains(lines, command) && !slices.Contains(elsewhere, command) {
			return fmt.Errorf("%s does not run %q, and no other block has it", integration, command)
		}
	}
	return nil
}

// Nothing that looks like a command is passed over in silence.
func TestEveryBlockIsAccountedFor(t *testing.T) {
	count := map[fate]int{}
	all := pages(t)
	elsewhere := commandsThatAreRun(all)
	for _, p := range all {
		for _, b := range p.Blocks {
			f, err := fateOf(b)
			if by, has := b.Note("run by"); has && err == nil {
				t.Logf("%s:%d: run by %s", p.Name, b.Line, by)
				if by == integration {
					err = integrated(b, elsewhere)
				} else {
					err = judged(p.Name, b, by)
				}
			}
			if err != nil {
				t.Errorf("%s:%d: %v", p.Name, b.Line, err)
			}
			count[f]++
			if reason, has := b.Note("not run"); has {
				t.Logf("%s:%d: not run: %s", p.Name, b.Line, reason)
			}
		}
	}
	t.Logf("%d blocks are run, %d are run by other tests, %d are not run, %d have no commands", count[run], count[delegated], count[left], count[shown])
	if count[run] < 30 {
		t.Errorf("only %d blocks are run", count[run])
	}
}

// commandsThatAreRun are those of blocks that are run by tests.
func commandsThatAreRun(all []page.Page) []string {
	var commands []string
	for _, p := range all {
		for _, b := range p.Blocks {
			by, _ := b.Note("run by")
			if f, _ := fateOf(b); (f == run || f == delegated) && by != integration {
				commands = append(commands, b.Commands()...)
			}
		}
	}
	return commands
}
