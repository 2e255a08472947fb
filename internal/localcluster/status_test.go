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

package localcluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProcessIDsAreTranslatedForTheClusterOnly(t *testing.T) {
	proc := t.TempDir()
	fakeProcess(t, proc, "100", "pid:[7]", "Name:\tinit\nNSpid:\t100\t1\n")
	fakeProcess(t, proc, "105", "pid:[7]", "NSpid:\t105\t5\n")
	fakeProcess(t, proc, "200", "pid:[1]", "NSpid:\t200\n")
	fakeProcess(t, proc, "300", "pid:[7]", "")
	got := machinePIDs(proc, 100)
	if diff := cmp.Diff(map[int]int{1: 100, 5: 105}, got); diff != "" {
		t.Errorf("process ids (-want +got):\n%s", diff)
	}
}

func fakeProcess(t *testing.T, proc, pid, namespace, status string) {
	t.Helper()
	dir := filepath.Join(proc, pid, "ns")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(namespace, filepath.Join(dir, "pid")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(proc, pid, "status"), []byte(status), 0o644); err != nil {
		t.Fatal(err)
	}
}
