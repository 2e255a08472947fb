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

package e2e

import (
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/demo"
)

func demoPod(name string) demo.Place { return demo.Place{Pod: name} }

// patience bounds every wait: a machine of two slow cores takes minutes for what
// others do in seconds.
const patience = 4 * time.Minute

// waitFor is the same, as a flag of `kubectl wait`.
var waitFor = "--timeout=" + patience.String()

// await repeats until the condition holds; its last error is the failure.
func await(t *testing.T, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
