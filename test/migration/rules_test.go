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

package migration

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// chain is the name of one of kube-proxy's or kubelet's, wherever it is said.
var chain = regexp.MustCompile(`\bKUBE-[A-Z0-9-]+`)

// kubelets are those that docs/migrate-iptables.md says stay, as they are kubelet's.
var kubelets = []string{"KUBE-FIREWALL", "KUBE-KUBELET-CANARY", "KUBE-IPTABLES-HINT"}

// expectTakenOver wants our tables in a node's kernel, and in neither family a
// chain, a rule or a table of kube-proxy's.
func (c *cluster) expectTakenOver(t *testing.T, node string) {
	t.Helper()
	rules := c.must(t, "exec", "--node", strings.TrimPrefix(node, "node-"), "--", "nft", "list", "ruleset")
	left := chain.FindAllString(rules, -1)
	left = slices.DeleteFunc(left, func(name string) bool { return slices.Contains(kubelets, name) })
	slices.Sort(left)
	if left = slices.Compact(left); len(left) > 0 || strings.Contains(rules, "kube-proxy") {
		t.Errorf("%s still has %q:\n%s", node, left, rules)
	}
	for _, name := range []string{ours, ours6} {
		if !strings.Contains(rules, name) {
			t.Errorf("%s has no %s", node, name)
		}
	}
}

// expectConfigured wants the agents to have kube-proxy's configuration, whatever
// was applied since.
func (c *cluster) expectConfigured(t *testing.T) {
	t.Helper()
	for _, node := range nodes {
		c.await(t, node+" has kube-proxy's clusterCIDR", "CIDR=$(kubectl -n kube-system get configmap kube-proxy -o jsonpath='{.data.config\\.conf}' | sed -n 's/^clusterCIDR: //p'); "+
			"test -n \"$CIDR\"; switchyard exec --node "+strings.TrimPrefix(node, "node-")+" -- curl -sSf http://127.0.0.1:10249/configz | grep -F \"$CIDR\"")
	}
}
