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

package install

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/testenv"
)

// auditPolicy has whatever our accounts ask for, which ours alone do.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users:
  - system:serviceaccount:switchyard-system:switchyard-manager
  - system:serviceaccount:switchyard-system:switchyard-node
  - system:serviceaccount:kube-system:switchyard-dns
- level: None
`

// audited is where API servers write audit logs, and judged where those are that this
// version's rights are judged by.
var audited, judged string

// auditClusters has the API servers of all clusters of this test write audit logs,
// which `switchyard up` has no flag for: one program of the control plane is a script.
// A log is named after the state directory of its cluster.
func auditClusters(dir string) error {
	assets, err := testenv.Assets()
	if err != nil {
		return err
	}
	programs, err := os.ReadDir(assets)
	if err != nil {
		return err
	}
	wrapped := filepath.Join(dir, "k8s")
	audited, judged = filepath.Join(dir, "audit"), filepath.Join(dir, "judged")
	for _, made := range []string{wrapped, audited, judged} {
		if err := os.Mkdir(made, 0o755); err != nil {
			return err
		}
	}
	for _, program := range programs {
		if program.Name() == "kube-apiserver" {
			continue
		}
		if err := os.Symlink(filepath.Join(assets, program.Name()), filepath.Join(wrapped, program.Name())); err != nil {
			return err
		}
	}
	policy := filepath.Join(dir, "policy.yaml")
	script := fmt.Sprintf(`#!/bin/sh
for argument; do case $argument in --tls-cert-file=*) certificate=$argument ;; esac; done
exec %q "$@" --audit-policy-file=%q --audit-log-path=%q/"$(echo "$certificate" | tr -c '[:alnum:]-\n' _)".log
`, filepath.Join(assets, "kube-apiserver"), policy, audited)
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(wrapped, "kube-apiserver"), []byte(script), 0o755); err != nil {
		return err
	}
	return os.Setenv("KUBEBUILDER_ASSETS", wrapped)
}

// judge has the rights of this version judged by what was asked of the cluster up to
// now.
func (c *cluster) judge(t *testing.T) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(audited, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, log := range logs {
		if strings.Contains(log, filepath.Base(c.State())) {
			if err := os.Rename(log, filepath.Join(judged, filepath.Base(log))); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%s has no audit log: there are %v", c.State(), logs)
}
