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
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// everything turns on all that there is, so that each value has something to change.
func everything(t *testing.T) map[string]any {
	t.Helper()
	return parsed(t, `
mode: full
apiServer: {host: api.example.com}
namespace: {create: true}
certManager: {enabled: true}
networkPolicy: {enabled: true}
dns: {enabled: true}
prometheus: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}, rules: {enabled: true}}
grafana: {dashboards: {enabled: true}}
`)
}

func parsed(t *testing.T, text string) map[string]any {
	t.Helper()
	values := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// other are values that differ from the defaults, where any text would be refused
// or would be nothing of the kind.
var other = map[string]any{
	"mode":                                "node",
	"image.digest":                        "sha256:" + strings.Repeat("a", 64),
	"image.pullPolicy":                    "Always",
	"manager.allocation":                  "authoritative",
	"manager.serviceNodePortRange":        "31000-32000",
	"node.announce":                       "l2",
	"dns.service.clusterIPs":              []any{"10.96.0.10", "fd00::a"},
	"imagePullSecrets":                    []any{map[string]any{"name": "registry"}},
	"manager.topologySpreadConstraints":   []any{},
	"manager.podDisruptionBudget.enabled": false,
	"manager.config":                      map[string]any{"admissionAudit": true},
	"manager.tolerations":                 []any{},
	"node.tolerations":                    []any{},
	"dns.tolerations":                     []any{},
	"node.extraVolumes":                   []any{map[string]any{"name": "run", "hostPath": map[string]any{"path": "/run/frr"}}},
	"node.extraVolumeMounts":              []any{map[string]any{"name": "run", "mountPath": "/run/frr"}},
	"manager.resources":                   map[string]any{"limits": map[string]any{"cpu": "1"}},
	"node.resources":                      map[string]any{"limits": map[string]any{"cpu": "1"}},
	"node.init.resources":                 map[string]any{"limits": map[string]any{"cpu": "1"}},
	"dns.resources":                       map[string]any{"limits": map[string]any{"cpu": "1"}},
	"node.config":                         map[string]any{"clusterCIDR": "10.244.0.0/16"},
	"node.updateStrategy":                 map[string]any{"type": "OnDelete"},
	"manager.affinity":                    map[string]any{"nodeAffinity": map[string]any{}},
	"node.affinity":                       map[string]any{"nodeAffinity": map[string]any{}},
	"dns.affinity":                        map[string]any{"nodeAffinity": map[string]any{}},
}

func changed(path string, initial any) any {
	if value, ok := other[path]; ok {
		return value
	}
	switch initial := initial.(type) {
	case bool:
		return !initial
	case int, int64, float64:
		return 7
	case string:
		return initial + "x"
	case []any:
		return append([]any{"--changed=1"}, initial...)
	default:
		return map[string]any{"changed": "yes"}
	}
}

// settled are all values, with the defaults that they have from config/.
var settled = sync.OnceValues(func() ([]*value, error) {
	config, err := readTree("../../config")
	if err != nil {
		return nil, err
	}
	made, err := readChart(config, fewChoices())
	if err != nil {
		return nil, err
	}
	all := values()
	return all, made.apply(all)
})

// change gives a value another one than it has.
func change(values map[string]any, v *value) (to any) {
	at := values
	names := strings.Split(v.path, ".")
	for _, name := range names[:len(names)-1] {
		if at[name] == nil {
			at[name] = map[string]any{}
		}
		at = at[name].(map[string]any)
	}
	last := names[len(names)-1]
	now, ok := at[last]
	if !ok || v.path == "mode" {
		now = v.initial
	}
	at[last] = changed(v.path, now)
	return at[last]
}

func TestEachValueChangesWhatIsInstalled(t *testing.T) {
	all, err := settled()
	if err != nil {
		t.Fatal(err)
	}
	for path := range other {
		if !slices.ContainsFunc(all, func(v *value) bool { return v.path == path }) {
			t.Errorf("there is no value %s any more", path)
		}
	}
	before := manifest(t, everything(t))
	for _, v := range all {
		t.Run(v.path, func(t *testing.T) {
			t.Parallel()
			values := everything(t)
			if to := change(values, v); manifest(t, values) == before {
				t.Errorf("nothing depends on %s: with %v it is all the same", v.path, to)
			}
		})
	}
}

func manifest(t *testing.T, values map[string]any) string {
	t.Helper()
	text := written(t, values)
	made, err := request{values: text}.template(t)
	if err != nil {
		t.Fatalf("%v, with\n%s", err, text)
	}
	return made.Manifest
}

// documented matches the first line of the comment of a value.
var documented = regexp.MustCompile(`^( *)# -- `)

func TestEachValueIsDocumented(t *testing.T) {
	directory, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(directory, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(directory, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	number := 0
	for path := range paths(load(t).Values, load(t).Schema, t) {
		number++
		names := strings.Split(path, ".")
		if !strings.Contains(string(readme), "| `"+path+"` |") {
			t.Errorf("the README has nothing about %s", path)
		}
		key := strings.Repeat("  ", len(names)-1) + names[len(names)-1] + ":"
		if !slices.ContainsFunc(indices(lines, key), func(n int) bool { return commented(lines, n) }) {
			t.Errorf("values.yaml does not say what %s is", path)
		}
	}
	if number < 50 {
		t.Errorf("only %d values were found", number)
	}
}

func indices(lines []string, prefix string) []int {
	var all []int
	for n, line := range lines {
		if strings.HasPrefix(line, prefix) {
			all = append(all, n)
		}
	}
	return all
}

func commented(lines []string, n int) bool {
	for n--; n >= 0 && strings.HasPrefix(strings.TrimSpace(lines[n]), "#"); n-- {
		if documented.MatchString(lines[n]) {
			return true
		}
	}
	return false
}

// paths are those of values.yaml, as deep as the schema names what is in them.
func paths(values map[string]any, schemaText []byte, t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	var walk func(prefix string, values, schema map[string]any)
	walk = func(prefix string, values, schema map[string]any) {
		for _, name := range slices.Sorted(maps.Keys(values)) {
			path := strings.TrimPrefix(prefix+"."+name, ".")
			properties, _ := schema["properties"].(map[string]any)
			below, _ := properties[name].(map[string]any)
			if below == nil {
				t.Errorf("the schema does not know %s", path)
				continue
			}
			group, isGroup := values[name].(map[string]any)
			if isGroup && below["description"] == nil {
				walk(path, group, below)
				continue
			}
			if fmt.Sprint(below["description"]) == "" {
				t.Errorf("the schema says nothing about %s", path)
			}
			found[path] = true
		}
	}
	walk("", values, parsed(t, string(schemaText)))
	return found
}
