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
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// valuesOf are the values for each feature.
var valuesOf = map[string]string{
	"certmanager":    "certManager: {enabled: true}",
	"announce-l2":    "node: {announce: l2}",
	"node-metrics":   "node: {metrics: {onAllAddresses: true}}",
	"network-policy": "networkPolicy: {enabled: true}",
	"prometheus":     "prometheus: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}, rules: {enabled: true}}",
}

func TestEachChoiceIsWhatKustomizeBuilds(t *testing.T) {
	config, err := readTree("../../config")
	if err != nil {
		t.Fatal(err)
	}
	all := choices()
	for _, mode := range modes { // pairs that the generator has not looked at
		all = append(all, choice{mode, []string{"certmanager", "announce-l2"}}, choice{mode, []string{"prometheus", "certmanager"}})
	}
	for _, c := range all {
		t.Run(strings.Join(append([]string{c.mode}, c.features...), "+"), func(t *testing.T) {
			values := parsed(t, "{mode: "+c.mode+", namespace: {create: true}}")
			for _, f := range c.features {
				if c.mode == "stock" && f == "announce-l2" {
					continue // which is refused, as it would change nothing
				}
				setValues(t, values, valuesOf[f])
			}
			objects, err := config.build(c)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]map[string]any{}
			for _, o := range objects {
				want[idOf(o)] = throughJSON(t, o.content)
			}
			compare(t, request{values: written(t, values)}.manifests(t), want)
		})
	}
}

// setValues adds values to others.
func setValues(t *testing.T, to map[string]any, text string) {
	t.Helper()
	for name, value := range parsed(t, text) {
		if group, ok := to[name].(map[string]any); ok {
			maps.Copy(group, value.(map[string]any))
			continue
		}
		to[name] = value
	}
}

func written(t *testing.T, values map[string]any) string {
	t.Helper()
	text, err := yaml.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What the modes are compared with is what the repository's own kustomize makes.
func TestModesAreTheOverlays(t *testing.T) {
	for _, mode := range modes {
		want := kustomize(t, "config/overlays/"+mode)
		compare(t, request{values: "mode: " + mode + "\nnamespace: {create: true}"}.manifests(t), want)
	}
	compare(t, request{values: "namespace: {create: true}"}.manifests(t), kustomize(t, "config/overlays/stock"))
}

// Who goes over from kube-proxy with the chart does what docs/migrate.md does.
func TestValuesOfThePageAreTheExample(t *testing.T) {
	values := parsed(t, valuesOfThePage(t))
	setValues(t, values, "namespace: {create: true}")
	compare(t, request{values: written(t, values)}.manifests(t), kustomize(t, "docs/examples/migrate"))
}

// valuesOfThePage are those of docs/helm.md for a cluster with kube-proxy.
func valuesOfThePage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/helm.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(mode: node\n.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/helm.md has no values that begin with the mode")
	}
	return string(block[1])
}

func TestDNSIsThatOfConfig(t *testing.T) {
	got, without := request{values: "dns: {enabled: true}"}.manifests(t), request{}.manifests(t)
	maps.DeleteFunc(got, func(id string, _ map[string]any) bool { return without[id] != nil })
	compare(t, got, kustomize(t, "config/dns"))
}

// throughJSON makes numbers what they are when they are read from a text.
func throughJSON(t *testing.T, content map[string]any) map[string]any {
	t.Helper()
	encoded, err := json.Marshal(content)
	result := map[string]any{}
	if err = errors.Join(err, json.Unmarshal(encoded, &result)); err != nil {
		t.Fatal(err)
	}
	return result
}

// The dashboard is for whoever's namespace it is applied to.
func TestDashboardIsThatOfConfig(t *testing.T) {
	got, without := request{values: "grafana: {dashboards: {enabled: true}}"}.manifests(t), request{}.manifests(t)
	maps.DeleteFunc(got, func(id string, _ map[string]any) bool { return without[id] != nil })
	for _, o := range got {
		delete(o["metadata"].(map[string]any), "namespace")
	}
	compare(t, got, kustomize(t, "config/grafana"))
}

func kustomize(t *testing.T, directory string) map[string]map[string]any {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", "tool", "kustomize", "build", directory)
	c.Dir = "../.."
	out, err := c.Output()
	if err != nil {
		t.Fatalf("kustomize build %s: %v", directory, err)
	}
	return decode(t, string(out))
}

func compare(t *testing.T, got, want map[string]map[string]any) {
	t.Helper()
	for _, objects := range []map[string]map[string]any{got, want} {
		for _, o := range objects {
			withoutTools(o)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the chart differs from kustomize (-kustomize +chart):\n%s", diff)
	}
}

// withoutTools takes away what Helm and kustomize say about themselves. Nothing
// else may differ.
func withoutTools(o map[string]any) {
	metadata := o["metadata"].(map[string]any)
	for part, keys := range map[string][]string{
		"labels":      {"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"},
		"annotations": {"helm.sh/resource-policy"},
	} {
		all, _ := metadata[part].(map[string]any)
		for _, key := range keys {
			delete(all, key)
		}
		if len(all) == 0 {
			delete(metadata, part)
		}
	}
}
