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

package routes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script makes a program of the shell's commands.
func script(t *testing.T, text string) command {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return command{path}
}

func TestACommandThatHangsIsEndedWithItsChildren(t *testing.T) {
	child := filepath.Join(t.TempDir(), "child")
	hangs := script(t, "sleep 1000 & echo $! >"+child+".new; mv "+child+".new "+child+"; wait\n")
	var pid []byte
	for limit := 300 * time.Millisecond; pid == nil; limit *= 2 { // until the machine begins the child in that time
		if limit > time.Minute {
			t.Fatal("the child never began")
		}
		_, err := hangs.run(t.Context(), limit, "configure")
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), fmt.Sprintf(`program configure": no end after %v`, limit)) {
			t.Fatalf("said %v", err)
		}
		pid, _ = os.ReadFile(child)
	}
	stat := "/proc/" + strings.TrimSpace(string(pid)) + "/stat"
	for ended := time.Now().Add(time.Minute); time.Now().Before(ended); time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(stat)
		if err != nil || strings.Contains(string(text), ") Z ") {
			return
		}
	}
	t.Fatal("the child still runs")
}

func TestWhatACommandSaysIsQuoted(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"a failure":          {"echo one; echo two >&2; exit 3", `configure": exit status 3: it said "one two"`},
		"a silent failure":   {"exit 3", `configure": exit status 3`},
		"a long-winded one":  {"head -c 100000 /dev/zero | tr '\\0' x; exit 1", strings.Repeat("x", mostQuoted) + `..."`},
		"too much of output": {"head -c 9000000 /dev/zero", "prints more than 8388608 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := script(t, tc.text).run(t.Context(), patience, "configure"); err == nil || !strings.HasSuffix(err.Error(), tc.want) {
				t.Errorf("said %v\nwant %s", err, tc.want)
			}
		})
	}
	_, err := command{"/nonexistent/birdc"}.run(t.Context(), patience, "configure")
	if err == nil || err.Error() != `running "/nonexistent/birdc configure": fork/exec /nonexistent/birdc: no such file or directory` {
		t.Errorf("said %v", err)
	}
}
