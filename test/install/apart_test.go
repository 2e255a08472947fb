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
	"slices"
	"strings"
	"testing"
)

// managersApart sees each replica of the manager on a node of its own. The nodes are
// in no zones, as those of most clusters.
func (c *cluster) managersApart(t *testing.T) {
	t.Helper()
	if zones := c.run(t, "get", "nodes", "-o", "jsonpath={.items[*].metadata.labels.topology\\.kubernetes\\.io/zone}"); zones != "" {
		t.Errorf("nodes are in zones %s", zones)
	}
	on := strings.Fields(c.run(t, "-n", namespace, "get", "pods", "-l", "control-plane=controller-manager", "-o", "jsonpath={.items[*].spec.nodeName}"))
	slices.Sort(on)
	if len(on) != 2 || len(slices.Compact(slices.Clone(on))) != 2 {
		t.Errorf("the managers are on %q, want two nodes", on)
	}
}
