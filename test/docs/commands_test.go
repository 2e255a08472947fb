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
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/docs/page"
	"switchyard.dev/switchyard/test/testenv"
)

var (
	mention = regexp.MustCompile(`(?:^|[|(] *|\$ |bin/|kubectl )(switchyard(?:-manager|-node|-dns)?) +([^|#;)&]*)`)
	made    = regexp.MustCompile(`^(?:\$ )?make ([a-z][a-z-]*)`)
	listed  = regexp.MustCompile(`(?m)^ +(?:-([a-zA-Z]), )?--?([a-zA-Z0-9-]+)`)
)

// TestCommandsThatAreNamedExist looks at every command of ours that a page names,
// in a block or in the text: its subcommand and its flags.
func TestCommandsThatAreNamedExist(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(testenv.Root(), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	known, seen := helps{}, 0
	for _, p := range pages(t) {
		for _, line := range commandsOf(p) {
			if m := made.FindStringSubmatch(line); m != nil && !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("%s: the Makefile has no target %s", p.Name, m[1])
			}
			for _, m := range mention.FindAllStringSubmatch(line, -1) {
				seen++
				if wrong := known.wrong(t, m[1], strings.Fields(m[2])); wrong != "" {
					t.Errorf("%s: %s: %s", p.Name, strings.TrimSpace(m[0]), wrong)
				}
			}
		}
	}
	t.Logf("%d commands are named", seen)
	if seen < 100 {
		t.Errorf("only %d commands were found", seen)
	}
}

// pagesOf has the page of each command that takes flags, and one that it refers to.
var pagesOf = map[string][]string{
	"audit": {"docs/who.md"}, "who": {"docs/who.md"}, "pools": {"docs/who.md"}, "why": {"docs/why.md"},
	"trace": {"docs/trace.md"}, "top": {"docs/top.md"}, "env": {"docs/env.md"}, "lint": {"docs/lint.md"},
	"status": {"docs/status.md", "docs/local-cluster.md"}, "bug-report": {"docs/status.md"}, "records": {"docs/dns.md"},
	"up": {"docs/local-cluster.md"}, "exec": {"docs/local-cluster.md"}, "logs": {"docs/local-cluster.md"},
	"probe": {"docs/local-cluster.md"}, "resolve": {"docs/local-cluster.md"}, "demo": {"docs/local-cluster.md"},
}

var subcommand = regexp.MustCompile(`(?m)^  ([a-z][a-z-]*) `)

// TestPagesHaveEveryFlag: each flag is on the page of its command, by its letter or in full.
func TestPagesHaveEveryFlag(t *testing.T) {
	known, seen := helps{}, 0
	_, list, _ := strings.Cut(known.of(t, "switchyard"), "Questions about a cluster:\n")
	for _, m := range subcommand.FindAllStringSubmatch(list, -1) {
		if m[1] == "completion" || m[1] == "help" {
			continue
		}
		var text strings.Builder
		for _, name := range pagesOf[m[1]] {
			p, err := page.Read(name)
			if err != nil {
				t.Fatal(err)
			}
			text.WriteString(p.Prose)
			for _, b := range p.Blocks {
				text.WriteString(b.Text())
			}
		}
		for _, f := range listed.FindAllStringSubmatch(known.of(t, "switchyard", m[1]), -1) {
			if f[2] == "help" {
				continue
			}
			seen++
			letter := f[1]
			if letter == "" {
				letter = "-none"
			}
			if !regexp.MustCompile("[ `(\\[](-" + letter + "|--" + f[2] + ")\\b").MatchString(text.String()) {
				t.Errorf("%v: switchyard %s has a flag --%s", pagesOf[m[1]], m[1], f[2])
			}
		}
	}
	if seen < 70 {
		t.Errorf("only %d flags were found", seen)
	}
}

// commandsOf are the lines of blocks and the pieces of code in the text.
func commandsOf(p page.Page) []string {
	var all []string
	for _, b := range p.Blocks {
		if b.Language == "bash" || b.Language == "console" {
			all = append(all, strings.Split(strings.ReplaceAll(b.Text(), "\\\n", " "), "\n")...)
		}
	}
	for _, c := range code.FindAllString(p.Prose, -1) {
		all = append(all, strings.Trim(c, "`"))
	}
	return all
}

// helps is what each command says of itself.
type helps map[string]string

func (h helps) of(t *testing.T, program string, words ...string) string {
	t.Helper()
	key := strings.Join(append([]string{program}, words...), " ")
	if _, has := h[key]; !has {
		out, err := exec.Command(filepath.Join(*programs, program), append(words, "--help")...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s --help: %v\n%s", key, err, out)
		}
		h[key] = string(out)
	}
	return h[key]
}

// wrong says what of a command does not exist.
func (h helps) wrong(t *testing.T, program string, args []string) string {
	t.Helper()
	// It is also how a message begins.
	if len(args) == 0 || args[0] == "..." || args[0] == "could" {
		return ""
	}
	help := h.of(t, program)
	if word := args[0]; regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(word) {
		if !regexp.MustCompile(`(?m)^  `+word+` `).MatchString(help) && !strings.Contains(help, "switchyard-node "+word) {
			return "there is no " + word
		}
		help = h.of(t, program, word)
	}
	var flags []string
	for _, m := range listed.FindAllStringSubmatch(help, -1) {
		flags = append(flags, m[1], m[2])
	}
	for _, arg := range args {
		arg = strings.TrimLeft(arg, "[(")
		name, _, _ := strings.Cut(strings.TrimRight(arg, "],.\"'"), "=")
		switch {
		case arg == "--":
			return ""
		case strings.HasPrefix(name, "-") && len(name) > 1 && !slices.Contains(flags, strings.TrimLeft(name, "-")):
			return "there is no flag " + name
		}
	}
	return ""
}
