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
	"encoding/json"
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/top"
)

func TestTopShowsTheConnectionsMade(t *testing.T) {
	needCluster(t)
	output(t, "wait", "--for=condition=Ready", "pod/pair", waitFor)
	address := output(t, "get", "service", "three-ports", "-o", "jsonpath={.spec.clusterIP}") + ":80"
	output(t, "wait", "--for=condition=Ready", "pod/multi", waitFor)
	await(t, func() error { return answered(t, address, 1) })
	node := output(t, "get", "pod", "pair", "-o", "jsonpath={.spec.nodeName}")
	before := topRow(t, node, "three-ports")
	const made = 25
	if err := answered(t, address, made); err != nil {
		t.Fatal(err)
	}
	after := topRow(t, node, "three-ports")
	if got := after.Connections - before.Connections; got != made {
		t.Errorf("%d connections shown, %d made", got, made)
	}
	if after.Tracked < made || after.Bytes == nil || *after.Bytes < 100*made || after.Packets == nil || *after.Packets < 6*made {
		t.Errorf("of %d connections it shows %+v", made, after)
	}
	if out, problems, code := cli(t, "top", "--once", "--node", "node-9"); code != 1 || !strings.Contains(problems, "there are node-1 to node-2") {
		t.Errorf("exit code %d: %s%s", code, out, problems)
	}
}

func topRow(t *testing.T, node, service string) top.Row {
	t.Helper()
	out, problems, code := cli(t, "top", "--once", "-n", "demo", "--node", node, "-o", "json")
	var rows []top.Row
	if err := json.Unmarshal([]byte(out), &rows); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, problems)
	}
	for _, row := range rows {
		if row.Service == service && row.Node == node && row.Namespace == "demo" {
			return row
		}
	}
	t.Fatalf("no row of %s on %s in %s", service, node, out)
	return top.Row{}
}
