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

package metrics

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// object is what the test looks at of anything in the manifests.
type object struct {
	Kind     string
	Metadata struct {
		Name, Namespace string
		Labels          map[string]string
	}
	Spec struct {
		// Of monitors, Selector has matchLabels.
		Selector            map[string]any
		NamespaceSelector   struct{ MatchNames []string }
		Endpoints           []endpoint
		PodMetricsEndpoints []endpoint
		// Of Services.
		Ports []struct {
			Name       string
			TargetPort any
		}
		// Of workloads.
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				Containers []struct {
					Args  []string
					Ports []struct {
						Name          string
						ContainerPort int
					}
				}
			}
		}
	}
}

type endpoint struct {
	Port        string
	Relabelings []struct{ TargetLabel, Replacement string }
}

func render(t *testing.T, kustomization string) (objects []object) {
	t.Helper()
	var stderr strings.Builder
	build := exec.CommandContext(t.Context(), "go", "tool", "kustomize", "build", kustomization)
	build.Stderr = &stderr
	manifests, err := build.Output()
	if err != nil {
		t.Fatalf("rendering %s: %v: %s", kustomization, err, stderr.String())
	}
	for document := range strings.SplitSeq(string(manifests), "\n---\n") {
		var o object
		// Other kinds have other things at these names.
		if err := yaml.Unmarshal([]byte(document), &o); err != nil && strings.HasSuffix(o.Kind, "Monitor") {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	return objects
}

// finds are the endpoints' ports, by name, of what the monitor selects.
func (m object) finds(objects []object) map[string]bool {
	match, _ := m.Spec.Selector["matchLabels"].(map[string]any)
	wanted := labels.Set{}
	for key, value := range match {
		wanted[key], _ = value.(string)
	}
	namespaces := append(slices.Clone(m.Spec.NamespaceSelector.MatchNames), m.Metadata.Namespace)[:1]
	ports := map[string]bool{}
	for _, o := range objects {
		if !slices.Contains(namespaces, o.Metadata.Namespace) {
			continue
		}
		if m.Kind == "ServiceMonitor" && o.Kind == "Service" && wanted.AsSelector().Matches(labels.Set(o.Metadata.Labels)) {
			for _, p := range o.Spec.Ports {
				ports[p.Name] = true
			}
		}
		if m.Kind == "PodMonitor" && wanted.AsSelector().Matches(labels.Set(o.Spec.Template.Metadata.Labels)) {
			for _, c := range o.Spec.Template.Spec.Containers {
				for _, p := range c.Ports {
					ports[p.Name] = true
				}
			}
		}
	}
	return ports
}

func TestMonitorsFindThePrograms(t *testing.T) {
	objects := render(t, "testdata/monitored")
	jobs := map[string]bool{}
	for _, m := range objects {
		if !strings.HasSuffix(m.Kind, "Monitor") {
			continue
		}
		found := m.finds(objects)
		for _, e := range slices.Concat(m.Spec.Endpoints, m.Spec.PodMetricsEndpoints) {
			if !found[e.Port] {
				t.Errorf("%s %s looks for the port %s, and finds %v", m.Kind, m.Metadata.Name, e.Port, slices.Sorted(maps.Keys(found)))
			}
			for _, r := range e.Relabelings {
				if r.TargetLabel == "job" {
					jobs[r.Replacement] = true
				}
			}
		}
	}
	// Alerts and the dashboard ask for these.
	if want := []string{"switchyard-dns", "switchyard-manager", "switchyard-node"}; !slices.Equal(slices.Sorted(maps.Keys(jobs)), want) {
		t.Errorf("the jobs are %v, want %v", jobs, want)
	}
}

func TestTheComponentOpensTheAgentsMetrics(t *testing.T) {
	for _, o := range render(t, "testdata/monitored") {
		if o.Kind != "DaemonSet" || o.Metadata.Namespace != "switchyard-system" {
			continue
		}
		agent := o.Spec.Template.Spec.Containers[0]
		if !slices.Contains(agent.Args, "--metrics-bind-address=0.0.0.0:10249") || agent.Ports[len(agent.Ports)-1].ContainerPort != 10249 {
			t.Errorf("the agent has %v and %+v", agent.Args, agent.Ports)
		}
		return
	}
	t.Error("there is no agent")
}

func TestTheDashboardIsWhereGrafanaLooks(t *testing.T) {
	objects := render(t, "../../config/grafana")
	if len(objects) != 1 || objects[0].Kind != "ConfigMap" || objects[0].Metadata.Labels["grafana_dashboard"] != "1" {
		t.Errorf("rendered: %+v", objects)
	}
}
