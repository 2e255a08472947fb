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

package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Run is Start for a test: the program ends with the test, which shows the end of
// the log if it has failed.
func Run(tb testing.TB, cmd *exec.Cmd, ns Network) *Process {
	tb.Helper()
	log, err := os.CreateTemp(tb.TempDir(), filepath.Base(cmd.Path))
	if err == nil {
		err = log.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	p, err := Start(cmd, ns, log.Name())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		p.Kill()
		if tb.Failed() {
			tb.Logf("%s said:\n%s", cmd, p.logEnd(20_000))
		}
	})
	return p
}

// patience is for a machine that has other work.
const patience = 3 * time.Minute

// Await waits until something is so, as long as the program runs.
func (p *Process) Await(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !so(); {
		select {
		case <-p.ended:
			tb.Fatalf("it has ended (%s) before %s", p.cmd.ProcessState, what)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			tb.Fatalf("after %s: not %s", patience, what)
		}
	}
}
