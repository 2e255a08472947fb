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

package main

import (
	"strings"
	"testing"
)

// A change of config/ that the chart does not know about stops the generator.
func TestChangesOfConfigAreNoticed(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(t tree)
		want string
	}{
		"a flag that a value stands for is gone": {
			replace("announce-l2/kustomization.yaml", "--announce=l2", "--speak=l2"),
			"value node.announce: DaemonSet/switchyard-node: there is no /spec/template/spec/containers/node/args/--announce=l2",
		},
		"a container has another name": {
			replace("dns/daemonset.yaml", "- name: dns\n        image", "- name: server\n        image"),
			"DaemonSet/switchyard-dns: there is no /spec/template/spec/containers/dns",
		},
		"a field that a value adds is there already": {
			replace("node/node.yaml", "      serviceAccountName: node\n", "      serviceAccountName: node\n      affinity: {}\n"),
			"value node.affinity: DaemonSet/switchyard-node: spec/template/spec has a key affinity already",
		},
		"places of one value differ": {
			replace("dns/daemonset.yaml", "imagePullPolicy: IfNotPresent", "imagePullPolicy: Always"),
			"value image.pullPolicy: DaemonSet/switchyard-dns: spec/template/spec/containers/dns/imagePullPolicy is Always, and in another place",
		},
		"a kind that no value turns on": {
			replace("prometheus/monitor.yaml", "kind: ServiceMonitor", "kind: Probe"),
			"config/prometheus has no ServiceMonitor",
		},
		"a directory that is in no choice": {
			func(t tree) { t["tracing/kustomization.yaml"] = []byte("resources: []\n") },
			"config/tracing is new",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := readTree("../../config")
			if err != nil {
				t.Fatal(err)
			}
			tc.edit(config)
			if _, err := generate(config, fewChoices(), options{version: "0.0.0"}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, and is to say %q", err, tc.want)
			}
		})
	}
}

// What only one overlay has gets a condition without anybody's help.
func TestDifferencesOfOverlaysBecomeConditions(t *testing.T) {
	config, err := readTree("../../config")
	if err != nil {
		t.Fatal(err)
	}
	replace("overlays/full/kustomization.yaml", "      value: --endpoints=all\n",
		"      value: --endpoints=all\n    - op: add\n      path: /spec/template/spec/hostUsers\n      value: false\n")(config)
	files, err := generate(config, fewChoices(), options{version: "0.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	const want = "      {{- if eq .Values.mode \"full\" }}\n      hostUsers: false\n      {{- end }}\n"
	if !strings.Contains(files["templates/manager/manager.yaml"], want) {
		t.Errorf("the template has no\n%s", want)
	}
}

// fewChoices are enough to have all objects once.
func fewChoices() []choice {
	all := choice{mode: "node"}
	for _, f := range features {
		all.features = append(all.features, f.name)
	}
	return []choice{{mode: "stock"}, all, {mode: "full"}}
}

func replace(name, before, after string) func(tree) {
	return func(t tree) {
		text := string(t[name])
		if !strings.Contains(text, before) {
			panic(name + " does not have " + before)
		}
		t[name] = []byte(strings.Replace(text, before, after, 1))
	}
}
