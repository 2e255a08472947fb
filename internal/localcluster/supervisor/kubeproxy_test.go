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
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/localcluster/software"
)

func TestKubeProxyRunsInTheModeChosenAsTheProgramFound(t *testing.T) {
	cluster, err := layout.New(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &Supervisor{cluster: cluster}
	s.config.Binaries.KubeProxy = "/somewhere/kube-proxy"
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
	for key, want := range map[string]string{"config.conf": "mode: iptables\n", "kubeconfig.conf": "server: https://172.30.0.11:6443\n"} {
		if !strings.Contains(config.Data[key], want) {
			t.Errorf("%s lacks %q:\n%s", key, want, config.Data[key])
		}
	}
	if got := daemons.Spec.Template.Spec.Containers[0].Command[0]; got != "/somewhere/kube-proxy" {
		t.Errorf("the DaemonSet runs %s", got)
	}
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
