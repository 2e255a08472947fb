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

package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheEndOfALogBeginsWithALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("first\npassword=hunter2\nlast\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for most, want := range map[int]string{
		100: "first\npassword=hunter2\nlast\n",
		28:  "first\npassword=hunter2\nlast\n",
		27:  "password=hunter2\nlast\n",
		22:  "password=hunter2\nlast\n", // it begins with a line
		12:  "last\n",                   // it begins within hunter2
		3:   "",                         // and here no line does
	} {
		if got, err := tailOf(path, most); err != nil || string(got) != want {
			t.Errorf("of %d bytes: %q, %v, want %q", most, got, err, want)
		}
	}
}

// silentCluster is the kubeconfig of an API server that accepts and never answers.
func silentCluster(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	config := "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{name: a, cluster: {server: 'http://" + listener.Addr().String() +
		"'}}]\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nusers: [{name: a, user: {}}]\n"
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fullDisk can not be written to.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// Of an API server that does not answer there is nothing, in the time that was given.
func TestAReportStaysThatCouldOnlyNotBeTold(t *testing.T) {
	o := bugReportOptions{file: filepath.Join(t.TempDir(), "report.tar.gz")}
	o.kubeconfig, o.system, o.timeout = silentCluster(t), "switchyard-system", 100*time.Millisecond
	var progress strings.Builder
	if err := o.run(t.Context(), fullDisk{}, &progress, time.Now()); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(o.file); err != nil || info.Size() == 0 {
		t.Errorf("the archive: %v", err)
	}
	if want := "Wrote " + o.file + "."; !strings.Contains(progress.String(), want) {
		t.Errorf("it does not say %q: %s", want, progress.String())
	}
}

// What others say in the list of contents does nothing to the terminal.
func TestTheListOfContentsIsPrintable(t *testing.T) {
	o := bugReportOptions{file: filepath.Join(t.TempDir(), "report.tar.gz")}
	if err := os.WriteFile(o.file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := o.tell(&out, "nodes: \x1b[2Jetcd is away\nnext"); err != nil || strings.Contains(out.String(), "\x1b") || !strings.Contains(out.String(), "etcd is away\nnext") {
		t.Errorf("%v: %q", err, out.String())
	}
}

func TestWhatNftSaysIsPassedOn(t *testing.T) {
	_, failed := exec.Command("sh", "-c", "echo 'Error: Operation not permitted (you must be root)' >&2; echo ^^^ >&2; exit 1").Output()
	_, missing := exec.Command(filepath.Join(t.TempDir(), "nft")).Output()
	_, absent := exec.LookPath("switchyard-has-no-such-program")
	for want, err := range map[string]error{
		"nft: Error: Operation not permitted (you must be root) (exit status 1)": failed,
		"no such file":     missing,
		"install nftables": absent,
	} {
		if got := explainNft(err); got == nil || !strings.Contains(got.Error(), want) {
			t.Errorf("%v, want %q in it", got, want)
		}
	}
	if err := explainNft(nil); err != nil {
		t.Error(err)
	}
}

func TestNoLocalClusterIsTroubleAndNoWarning(t *testing.T) {
	t.Setenv("SWITCHYARD_STATE", t.TempDir())
	c := statusCommand()
	c.SetArgs([]string{"--processes"})
	c.SilenceErrors, c.SilenceUsage = true, true
	if err := c.ExecuteContext(t.Context()); exitCode(err) != exitTrouble {
		t.Errorf("exit code %d: %v", exitCode(err), err)
	}
}

func TestAReportDoesNotWaitForWhatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		never := make(chan struct{})
		got := unfinished(ctx, map[string]func(){
			"knows of no time": func() { <-never },
			"ends in time":     func() {},
			"ends when told":   func() { <-ctx.Done() },
		})
		if diff := cmp.Diff([]string{"knows of no time"}, got); diff != "" {
			t.Errorf("unfinished (-want +got):\n%s", diff)
		}
		close(never)
	})
}
