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
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/localcluster/state"
)

func TestDownLeavesADirectoryOfSomebodyElse(t *testing.T) {
	dir := t.TempDir()
	kept := []string{filepath.Join(dir, "lock"), filepath.Join(dir, "kubeconfig")}
	for _, path := range kept {
		if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if ended, err := Down(t.Context(), state.Dir(dir)); ended || err == nil || !strings.Contains(err.Error(), state.EnvVar) {
		t.Errorf("got %v, %v", ended, err)
	}
	for _, path := range kept {
		if data, err := os.ReadFile(path); err != nil || string(data) != "mine" {
			t.Errorf("%s holds %q, %v", path, data, err)
		}
	}
}
