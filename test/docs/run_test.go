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
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"switchyard.dev/switchyard/test/docs/page"
	"switchyard.dev/switchyard/test/prereq"
	"switchyard.dev/switchyard/test/testenv"
)

var (
	programs = flag.String("bin", filepath.Join(testenv.Root(), "bin"), "where the programs are that are tried")
	used     = flag.String("state", "", "state directory of a cluster to run in, which stays; without it one is made")
)

// TestPages runs what the pages have, each in a shell of its own and in a cluster
// that nobody has used. README.md is first, and starts it.
func TestPages(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for _, p := range pagesToRun(t) {
		if _, own := clusterOf(p); own {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			if p.Name != "README.md" {
				c.start(t)
			}
			began := time.Now()
			defer func() {
				ran := time.Since(began)
				c.start(t)
				c.reset(t)
				t.Logf("run in %.1f s, cleaned up after in %.1f s", ran.Seconds(), (time.Since(began) - ran).Seconds())
			}()
			c.run(t, p)
			if p.Name == "docs/packet-flow.md" {
				c.everyNameIsExplained(t, p)
			}
		})
	}
	t.Run("kubectl in the text", func(t *testing.T) {
		c.start(t)
		c.askAll(t)
	})
}

// TestPagesAlone runs the pages that want a cluster of their own, beside the
// others: both wait more than they compute.
func TestPagesAlone(t *testing.T) {
	t.Parallel()
	for _, p := range pagesToRun(t) {
		args, own := clusterOf(p)
		if !own {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			c := newCluster(t, append(strings.Fields(args), "--image="+image(t))...)
			c.start(t)
			c.run(t, p)
		})
	}
}

func pagesToRun(t *testing.T) []page.Page {
	t.Helper()
	prereq.Root(t)
	prereq.Tool(t, "make", "make")
	prereq.Tool(t, "jq", "jq")
	return slices.DeleteFunc(pages(t), func(p page.Page) bool { return !slices.ContainsFunc(p.Blocks, isRun) })
}

func isRun(b page.Block) bool { f, err := fateOf(b); return err == nil && f == run }

// run runs the blocks of a page.
func (c *cluster) run(t *testing.T, p page.Page) {
	t.Helper()
	s, known := newShell(t, c.view(t), c.environment()), meanings{}
	for _, b := range slices.DeleteFunc(slices.Clone(p.Blocks), func(b page.Block) bool { return !isRun(b) }) {
		if _, fresh := b.Note("fresh cluster"); fresh {
			c.reset(t)
		}
		var err error
		if known, err = c.try(s, b, known); err != nil {
			t.Fatalf("%s:%d: %v", p.Name, b.Line, err)
		}
		c.start(t) // unless it is README.md that has done so
	}
}

// clusterOf is what a page wants of a cluster of its own.
func clusterOf(p page.Page) (args string, own bool) {
	for _, b := range p.Blocks {
		if args, own := b.Note("cluster"); own {
			return args, true
		}
	}
	return "", false
}

// try runs a block, what has to be done before it, and what after.
func (c *cluster) try(s *shell, b page.Block, known meanings) (meanings, error) {
	if before, has := b.Note("run before"); has {
		if err := s.must(strict(before)); err != nil {
			return known, fmt.Errorf("what is run before: %w", err)
		}
	}
	known, err := c.only(s, b, known)
	if after, has := b.Note("run after"); has {
		err = errors.Join(err, s.must(strict(after)))
	}
	return known, err
}

func (c *cluster) only(s *shell, b page.Block, known meanings) (meanings, error) {
	switch b.Language {
	case "bash":
		return known, s.must(strict(b.Text()))
	case "yaml":
		return known, s.must("kubectl apply -f - <<'END OF BLOCK'\n" + b.Text() + "END OF BLOCK")
	}
	_, numbers := b.Note("numbers differ")
	_, anyOrder := b.Note("any order")
	_, endless := b.Note("until interrupted")
	steps := sessionOf(b)
	codes, err := codesOf(b, len(steps))
	if err != nil {
		return known, err
	}
	for i, step := range steps {
		step.code, step.endless = codes[i], endless
		found, err := c.step(s, step, likeness{numbers: numbers, anyOrder: anyOrder}, known)
		if err != nil {
			return known, err
		}
		known = found
	}
	return known, nil
}

// strict makes the first command that fails end the shell.
func strict(commands string) string { return "set -eo pipefail\n" + commands + "\nset +eo pipefail" }

// A step is a command of a session, what the page shows of its output, and the
// exit code that it has to end with.
type step struct {
	command string
	shown   []string
	code    int
	// endless is true for one that somebody has to interrupt.
	endless bool
}

// within is the command, interrupted after a while if nothing else ends it.
func (one step) within(while time.Duration) string {
	if !one.endless {
		return one.command
	}
	return fmt.Sprintf("timeout --preserve-status --signal=INT %v %s", while.Seconds(), one.command)
}

// codesOf are the exit codes that a block's commands end with, one each.
func codesOf(b page.Block, commands int) ([]int, error) {
	text, has := b.Note("exit codes")
	if !has {
		return make([]int, commands), nil
	}
	var codes []int
	for word := range strings.FieldsSeq(text) {
		code, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("exit codes: %w", err)
		}
		codes = append(codes, code)
	}
	if len(codes) != commands {
		return nil, fmt.Errorf("%d exit codes for %d commands", len(codes), commands)
	}
	return codes, nil
}

var hereDocument = regexp.MustCompile(`<<-? *['"]?(\w+)`)

// sessionOf takes a console block apart.
func sessionOf(b page.Block) []step {
	var steps []step
	for i := 0; i < len(b.Lines); i++ {
		line, isCommand := strings.CutPrefix(b.Lines[i], "$ ")
		if !isCommand {
			steps[len(steps)-1].shown = append(steps[len(steps)-1].shown, line)
			continue
		}
		command := []string{line}
		more := func() { i++; command = append(command, b.Lines[i]) }
		for strings.HasSuffix(b.Lines[i], `\`) {
			more()
		}
		if m := hereDocument.FindStringSubmatch(line); m != nil {
			for strings.TrimSpace(b.Lines[i]) != m[1] {
				more()
			}
		}
		steps = append(steps, step{command: strings.Join(command, "\n")})
	}
	return steps
}

// asks are commands that change nothing: what they print may take a moment to
// become what the page shows.
var asks = regexp.MustCompile(`^(kubectl (-n \S+ )?(get|describe|switchyard)|(bin/)?switchyard (audit|env|exec|lint|pools|probe|records|resolve|status|top|trace|who|why)) `)

// waiting is what `switchyard up` says on a machine that is busy.
var waiting = regexp.MustCompile(`^ +waiting for .* so far\)$`)

// step runs a command, and judges it by its exit code and by what it prints.
func (c *cluster) step(s *shell, one step, l likeness, known meanings) (meanings, error) {
	one.command = varying.ReplaceAllStringFunc(one.command, func(name string) string { return cmp.Or(known[name], name) })
	if !slices.ContainsFunc(withoutBlank(one.shown), func(line string) bool { return line != "..." }) {
		return known, s.ends(one.command, one.code)
	}
	// A machine that does not come to an endless one in its time gives it more the next.
	while := 4 * time.Second
	for deadline := time.Now().Add(patience / 3); ; while *= 2 {
		printed, code, err := s.run(one.within(while))
		if err != nil {
			return known, err
		}
		printed = slices.DeleteFunc(printed, waiting.MatchString)
		for i := range printed {
			printed[i] = strings.ReplaceAll(printed[i], c.state, "/run/switchyard")
		}
		found, err := l.compare(one.shown, printed, known)
		if err == nil && code != one.code {
			err = fmt.Errorf("exit code %d, want %d, of what printed what is shown", code, one.code)
		}
		if err == nil {
			return found, nil
		}
		if !asks.MatchString(one.command+" ") || time.Now().After(deadline) {
			return known, fmt.Errorf("$ %s\n%w", one.command, err)
		}
		time.Sleep(time.Second / 4)
	}
}

// environment is what the reader's shell has: the programs in the PATH, as
// README.md puts them there.
func (c *cluster) environment() []string {
	return append(os.Environ(), "SWITCHYARD_STATE="+c.state, "KUBECONFIG="+filepath.Join(c.state, "kubeconfig"), "HOME="+c.home, "TERM=dumb", "LC_ALL=C.UTF-8",
		"PATH="+strings.Join([]string{c.home, *programs, filepath.Join(*programs, "k8s"), os.Getenv("PATH")}, ":"))
}

// view is the repository as a reader has it, in a folder where commands may leave
// files, also in dist: with links to what is in it.
func (c *cluster) view(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, e := range entries(t, testenv.Root()) {
		from, to := filepath.Join(testenv.Root(), e.Name()), filepath.Join(dir, e.Name())
		var err error
		switch e.Name() {
		case "bin":
			err = os.Symlink(*programs, to)
		case "dist":
			err = os.Mkdir(to, 0o755)
			for _, e := range entries(t, from) {
				err = cmp.Or(err, os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())))
			}
		default:
			err = os.Symlink(from, to)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func entries(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// command is a command of the harness's own.
func (c *cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(*programs, name), args...)
	cmd.Env = c.environment()
	return cmd
}
