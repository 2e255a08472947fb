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
	"strings"
	"testing"
)

// admitsAgents sees that the next pod of an agent is admitted, as applying overlay
// stock over another leaves the DaemonSet.
func (c *cluster) admitsAgents(t *testing.T) {
	t.Helper()
	const pod = `
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: %s}
spec:
  hostNetwork: true
  containers:
  - name: node
    image: any
    securityContext: {capabilities: {add: [NET_ADMIN]}}
`
	if out, err := c.try(t.Context(), fmt.Sprintf(pod, namespace), "create", "--dry-run=server", "-f", "-"); err != nil {
		t.Errorf("an agent that was left could not come back: %v\n%s", err, out)
	}
	labels := c.run(t, "get", "namespace", namespace, "-o", "jsonpath={.metadata.labels}")
	for _, label := range []string{`"pod-security.kubernetes.io/warn":"restricted"`, `"pod-security.kubernetes.io/audit":"restricted"`} {
		if !strings.Contains(labels, label) {
			t.Errorf("the namespace has labels %s, without %s", labels, label)
		}
	}
}
