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

package supervisor

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientcmdv1 "k8s.io/client-go/tools/clientcmd/api/v1"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/localcluster/software"
)

func TestKubeProxyRunsInTheModeChosenAsTheProgramFound(t *testing.T) {
	files, container := kubeProxyObjects(t, "/somewhere/kube-proxy")
	var config struct{ Mode, ClusterCIDR string }
	if err := yaml.Unmarshal([]byte(files["config.conf"]), &config); err != nil || config.Mode != "iptables" || config.ClusterCIDR != layout.PodCIDRs {
		t.Errorf("config.conf has %+v, %v:\n%s", config, err, files["config.conf"])
	}
	var client clientcmdv1.Config
	err := yaml.Unmarshal([]byte(files["kubeconfig.conf"]), &client)
	if err != nil || len(client.Clusters) != 1 || client.Clusters[0].Cluster.Server != "https://172.30.0.11:6443" {
		t.Errorf("kubeconfig.conf has %+v, %v:\n%s", client.Clusters, err, files["kubeconfig.conf"])
	}
	if got := container.Command[0]; got != "/somewhere/kube-proxy" {
		t.Errorf("the DaemonSet runs %s", got)
	}
}

// TestKubeProxyRunsWithWhateverPathThisMachineHas: these mean something in YAML.
func TestKubeProxyRunsWithWhateverPathThisMachineHas(t *testing.T) {
	for _, path := range []string{"/usr/bin:/bin:", "/opt/a: b:/bin", "/opt/a #1:/bin", `/opt/"a":/bin`, "*a", "{{.Mode}}", "", "12"} {
		t.Setenv("PATH", path)
		_, container := kubeProxyObjects(t, path+"/kube-proxy")
		if got := container.Command[0]; got != path+"/kube-proxy" {
			t.Errorf("PATH=%q: the DaemonSet runs %q", path, got)
		}
		var got []string
		for _, v := range container.Env {
			if v.Name == "PATH" {
				got = append(got, v.Value)
			}
		}
		if !slices.Equal(got, []string{path}) {
			t.Errorf("PATH=%q: the DaemonSet has %q", path, got)
		}
	}
}

// kubeProxyObjects are the files and the container that kube-proxy gets in mode
// iptables.
func kubeProxyObjects(t *testing.T, program string) (map[string]string, corev1.Container) {
	t.Helper()
	cluster, err := layout.New(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &Supervisor{cluster: cluster}
	s.config.Binaries.KubeProxy = program
	s.config.Software = software.Choice{Suite: software.SuiteNone, KubeProxy: software.KubeProxyIPTables}.Complete()
	text, err := s.kubeProxyManifests()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parseManifests(text)
	if err != nil {
		t.Fatal(err)
	}
	var config corev1.ConfigMap
	var daemons appsv1.DaemonSet
	for _, object := range parsed.objects {
		var into any
		switch object.GetKind() {
		case "ConfigMap":
			into = &config
		case "DaemonSet":
			into = &daemons
		default:
			continue
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, into); err != nil {
			t.Fatal(err)
		}
	}
	return config.Data, daemons.Spec.Template.Spec.Containers[0]
}

func TestOnlyOneWritesEndpoints(t *testing.T) {
	for name, tc := range map[string]struct {
		chosen software.Choice
		want   bool
	}{
		"the suite does":                       {software.Choice{}, false},
		"without it the controllers do":        {software.Choice{Suite: software.SuiteNone}, true},
		"unless they are to leave it to a pod": {software.Choice{Suite: software.SuiteNone, EndpointControllers: software.Off}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Supervisor{}
			s.config.Software = tc.chosen.Complete()
			got := !strings.Contains(s.controllers(), "-endpoint")
			if got != tc.want {
				t.Errorf("--controllers=%s", s.controllers())
			}
		})
	}
}
