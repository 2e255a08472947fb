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
	"fmt"
	"os"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// AuditVariable names a directory in which each API server writes whatever is asked
// of it, one file each. Package rights makes the list of the rights that are used of
// them.
const AuditVariable = "SWITCHYARD_AUDIT_LOGS"

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

func auditTo(environment *envtest.Environment, dir string) error {
	log, err := os.CreateTemp(dir, "audit-*.log")
	if err != nil {
		return fmt.Errorf("%s: %w", AuditVariable, err)
	}
	if err := log.Close(); err != nil {
		return err
	}
	policy := log.Name() + ".policy" // one each, as another server may read its own just now
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	arguments := environment.ControlPlane.GetAPIServer().Configure()
	arguments.Set("audit-policy-file", policy)
	arguments.Set("audit-log-path", log.Name())
	return nil
}
