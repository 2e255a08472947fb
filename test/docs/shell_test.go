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
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds a single command, which is over long before.
const patience = 5 * time.Minute

// A shell is the terminal that a reader of a page types into.
type shell struct {
	scripts string
	in      io.Writer
	lines   chan string
	kill    func()
	count   int
}

func newShell(t *testing.T, dir string, env []string) *shell {
	t.Helper()
	cmd := exec.Command("bash", "--noprofile", "--norc")
	cmd.Dir, cmd.Env = dir, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	s := &shell{scripts: t.TempDir(), in: in, lines: make(chan string, 1000)}
	s.kill = func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	go func() {
		defer close(s.lines)
		scanner := bufio.NewScanner(out)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			s.lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		_ = in.Close()
		s.kill()
		_ = cmd.Wait()
		_ = out.Close()
	})
	return s
}

// must types a command whose exit code has to be zero.
func (s *shell) must(command string) error { return s.ends(command, 0) }

// ends types a command that has to end with an exit code.
func (s *shell) ends(command string, want int) error {
	printed, code, err := s.run(command)
	if err == nil && code != want {
		return fmt.Errorf("exit code %d, want %d, of\n%s\nwhich printed\n%s", code, want, command, strings.Join(printed, "\n"))
	}
	return err
}

// run types a command, and returns what it prints, and its exit code; an error if
// it does not come to an end.
func (s *shell) run(command string) (printed []string, code int, err error) {
	s.count++
	const end = "-- end of command --"
	file := filepath.Join(s.scripts, fmt.Sprint(s.count))
	if err := os.WriteFile(file, []byte(command+"\n"), 0o600); err != nil {
		return nil, 0, err
	}
	if _, err := fmt.Fprintf(s.in, "source %s </dev/null; printf '\\n%s %%d %%d\\n' %d $?\n", file, end, s.count); err != nil {
		return nil, 0, err
	}
	late := time.After(patience)
	for {
		select {
		case line, more := <-s.lines:
			switch status, ended := strings.CutPrefix(line, fmt.Sprintf("%s %d ", end, s.count)); {
			case !more:
				return printed, 0, fmt.Errorf("the shell ended at\n%s\nafter it printed\n%s", command, strings.Join(printed, "\n"))
			case ended:
				code, err = strconv.Atoi(status)
				return printed, code, err
			}
			printed = append(printed, line)
		case <-late:
			s.kill()
			return printed, 0, fmt.Errorf("no end of\n%s\nwhich printed\n%s", command, strings.Join(printed, "\n"))
		}
	}
}
