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
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// TestANodeThatIsDeletedComesBack deletes a Node, as an administrator does whose
// machine is to register anew. Its agent's token was of the Node that is gone.
func TestANodeThatIsDeletedComesBack(t *testing.T) {
	needCluster(t)
	const node = "node-2"
	before := output(t, "get", "node", node, "-o", "jsonpath={.metadata.uid}")
	output(t, "delete", "node", node)
	await(t, func() error {
		uid, err := kubectl(t.Context(), t, "get", "node", node, "-o", "jsonpath={.metadata.uid}").Output()
		if err == nil && string(uid) == before {
			err = errors.New("it is still the old one")
		}
		return err
	})
	// What the agent is let in with lies where the cluster's programs see it.
	access := filepath.Join(cluster.State(), "run", "kubeconfigs", "switchyard-node@"+node)
	await(t, func() error {
		agent := programs(t)["switchyard-node@"+node]
		if agent.PID == 0 {
			return fmt.Errorf("the agent of %s does not run", node)
		}
		asAgent := kubectl(t.Context(), t, "--kubeconfig="+access, "get", "services", "-A")
		out, err := exec.CommandContext(t.Context(), "nsenter", append([]string{"--target", strconv.Itoa(agent.PID), "--mount", "--net", "--root", "--"}, asAgent.Args...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("as the agent of %s: %w: %s", node, err, out)
		}
		return nil
	})
}
