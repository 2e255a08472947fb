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

package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhereTheStateIs(t *testing.T) {
	tests := map[string]struct {
		env  map[string]string
		euid int
		want string
	}{
		"what the variable says, for everybody": {env: map[string]string{EnvVar: "/tmp/a", "XDG_RUNTIME_DIR": "/x"}, want: "/tmp/a"},
		"root without the variable":             {env: map[string]string{"HOME": "/root"}, want: "/run/switchyard"},
		"a user with a session":                 {env: map[string]string{"XDG_RUNTIME_DIR": "/run/user/7", "HOME": "/home/u"}, euid: 7, want: "/run/user/7/switchyard"},
		"a user without a session":              {env: map[string]string{"HOME": "/home/u"}, euid: 7, want: "/home/u/.local/state/switchyard"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := choose(func(key string) string { return tc.env[key] }, tc.euid)
			if err != nil || got != tc.want {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
	if _, err := choose(func(string) string { return "" }, 7); err == nil || !strings.Contains(err.Error(), EnvVar) {
		t.Errorf("without any place the remedy is missing: %v", err)
	}
}

func TestAnotherUsersDirectoryNamesTheRemedy(t *testing.T) {
	dir := Dir(t.TempDir())
	denied := notOurs(fmt.Errorf("opening the lock: %w", os.ErrPermission))
	if !errors.Is(denied, os.ErrPermission) || !strings.Contains(denied.Error(), EnvVar) {
		t.Errorf("got %v", denied)
	}
	if _, err := dir.Record(); !errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), EnvVar) {
		t.Errorf("a directory without a record: %v", err)
	}
	if os.Geteuid() == 0 {
		return // root is refused nothing
	}
	if err := os.Chmod(string(dir), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.TryLock(); err == nil || !strings.Contains(err.Error(), EnvVar) {
		t.Errorf("the lock: %v", err)
	}
	if _, err := dir.Record(); err == nil || !strings.Contains(err.Error(), EnvVar) {
		t.Errorf("the record: %v", err)
	}
}

func TestTooLongAPathNamesTheRemedy(t *testing.T) {
	t.Setenv(EnvVar, "/tmp/"+strings.Repeat("x", 200))
	if _, err := FromEnvironment(); err == nil || !strings.Contains(err.Error(), EnvVar) {
		t.Errorf("got %v", err)
	}
}

func TestTheLockIsHeldUntilItsLastHolderIsGone(t *testing.T) {
	dir := Dir(t.TempDir())
	lock := mustLock(t, dir)
	if _, err := dir.TryLock(); !errors.Is(err, ErrRunning) {
		t.Fatalf("a second lock was given out: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := dir.WaitLock(ctx); !errors.Is(err, ErrRunning) {
		t.Fatalf("waiting gave %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	mustLock(t, dir)
}

func TestALockOnARemovedDirectoryKeepsNobodyOut(t *testing.T) {
	dir := Dir(filepath.Join(t.TempDir(), "state"))
	mustLock(t, dir)
	if err := dir.Remove(); err != nil {
		t.Fatal(err)
	}
	mustLock(t, dir)
}

func TestPreparingReplacesWhatACrashLeft(t *testing.T) {
	dir := Dir(t.TempDir())
	mustLock(t, dir)
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	stale := dir.Log("etcd")
	write(t, stale)
	write(t, dir.Kubeconfig())
	foreign := filepath.Join(string(dir), "notes.txt")
	write(t, foreign)
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{stale: false, dir.Kubeconfig(): false, foreign: true, dir.Logs(): true, dir.Run(): true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s exists: %v, want %v", path, err == nil, want)
		}
	}
}

func TestRemovingLeavesNothing(t *testing.T) {
	dir := Dir(filepath.Join(t.TempDir(), "state"))
	mustLock(t, dir)
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	if err := dir.WriteRecord(Record{PID: 1}); err != nil {
		t.Fatal(err)
	}
	if err := dir.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(string(dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
}

func TestTheRecordSurvivesARoundTripAndKnowsItsProcess(t *testing.T) {
	dir := Dir(t.TempDir())
	started, err := StartTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	want := Record{PID: os.Getpid(), StartTime: started, Nodes: 3, Zones: []string{"a"}, Port: 6443, Version: "v1"}
	if err := dir.WriteRecord(want); err != nil {
		t.Fatal(err)
	}
	got, err := dir.Record()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if !got.Alive() {
		t.Error("this process is not alive")
	}
	got.StartTime++
	if got.Alive() {
		t.Error("another process of the same number is taken for the recorded one")
	}
}

func TestTheKubeconfigIsPrivate(t *testing.T) {
	dir := Dir(t.TempDir())
	if err := dir.WriteKubeconfig([]byte("secret")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
}

func TestAProgramNameCanNotFakeTheStatus(t *testing.T) {
	got, err := parseStat("7 (a) R 1 (b) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0")
	if want := (processStatus{state: "S", started: 4242}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestADeadProcessIsNotAliveBeforeItsParentHasNoticed(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started, err := StartTime(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	record := Record{PID: cmd.Process.Pid, StartTime: started}
	for deadline := time.Now().Add(3 * time.Minute); record.Alive(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is still alive")
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

func mustLock(t *testing.T, dir Dir) *Lock {
	t.Helper()
	lock, err := dir.TryLock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Close() })
	return lock
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}
