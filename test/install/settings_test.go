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

	"switchyard.dev/switchyard/internal/demo"
	"switchyard.dev/switchyard/test/testenv"
)

// settings are what a cluster says of itself, as migrate.md and install.md have
// their readers do.
const settings = `
apiVersion: v1
kind: ConfigMap
metadata: {name: switchyard-node, namespace: switchyard-system}
data:
  config.conf: |
    apiVersion: kubeproxy.config.k8s.io/v1alpha1
    kind: KubeProxyConfiguration
    clusterCIDR: 10.244.0.0/16
    # As of kube-proxy, which has no probes.
    healthzBindAddress: 127.0.0.1:10256
`

// keepsSettings has a user make settings for agents that run, and then applies the
// manifests once more, as an upgrade does.
func (c *cluster) keepsSettings(t *testing.T, manifests string) {
	t.Helper()
	if _, err := c.try(t.Context(), settings, "apply", "--server-side", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	taken := func() error {
		for _, node := range []string{"node-1", "node-2"} {
			ask, err := c.Command(t.Context(), demo.Place{Node: node}, "curl", "-sSf", "http://127.0.0.1:10249/configz")
			if err != nil {
				return err
			}
			answer, err := ask.CombinedOutput()
			if err != nil || !strings.Contains(string(answer), "10.244.0.0/16") {
				return fmt.Errorf("%s has: %v: %s", node, err, answer)
			}
		}
		return nil
	}
	await(t, "the agents take a ConfigMap that comes while they run", taken)
	const read = "jsonpath={.data}"
	before := c.run(t, "-n", namespace, "get", "configmap", "switchyard-node", "-o", read)
	c.run(t, "apply", "--server-side", "-f", filepath.Join(testenv.Root(), manifests))
	if after := c.run(t, "-n", namespace, "get", "configmap", "switchyard-node", "-o", read); after != before {
		t.Errorf("applying the manifests anew has changed the user's settings from\n%s\nto\n%s", before, after)
	}
	c.run(t, "-n", namespace, "rollout", "restart", "daemonset/switchyard-node")
	c.rolledOut(t, namespace, "daemonset/switchyard-node")
	if err := taken(); err != nil {
		t.Error(err)
	}
}

// What users are told to make is in no manifest, which would put back its own.
func TestNoManifestHasWhatUsersMake(t *testing.T) {
	all, err := filepath.Glob(filepath.Join(testenv.Root(), "dist", "install-*.yaml"))
	if err != nil || len(all) < 4 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, manifests := range all {
		text, err := os.ReadFile(manifests)
		if err != nil {
			t.Fatal(err)
		}
		for object := range strings.SplitSeq(string(text), "\n---\n") {
			for _, name := range []string{"switchyard-node", "switchyard-apiserver"} {
				if strings.Contains("\n"+object, "\nkind: ConfigMap\n") && strings.Contains(object, "\n  name: "+name+"\n") {
					t.Errorf("%s has ConfigMap %s", manifests, name)
				}
			}
		}
	}
}
