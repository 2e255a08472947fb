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

package testenv

import (
	"os"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

func TestEachServerHasAnAuditPolicyOfItsOwn(t *testing.T) {
	dir, seen := t.TempDir(), map[string]bool{}
	for range 2 {
		var environment envtest.Environment
		if err := auditTo(&environment, dir); err != nil {
			t.Fatal(err)
		}
		arguments := environment.ControlPlane.GetAPIServer().Configure()
		for _, name := range []string{"audit-policy-file", "audit-log-path"} {
			path := arguments.Get(name).Get(nil)[0]
			if seen[path] {
				t.Errorf("both servers have --%s=%s", name, path)
			}
			seen[path] = true
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		}
	}
}
