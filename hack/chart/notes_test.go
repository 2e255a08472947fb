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

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
)

func TestNotesSayWhatIsNext(t *testing.T) {
	const (
		takeOver   = "--controllers=*,-endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller"
		apiServer  = "--set apiServer.host=HOST"
		agents     = "rollout status daemonset/switchyard-node"
		privileged = "pod-security.kubernetes.io/enforce=privileged"
		elsewhere  = "--manager-namespace=services"
	)
	for name, tc := range map[string]struct {
		request
		want, wantNot []string
	}{
		"stock": {
			request{values: "mode: stock"},
			[]string{"in mode stock", "--set mode=node", "kubectl -n switchyard-system rollout status deployment/switchyard-manager", "The CRDs stay."},
			[]string{agents, apiServer, takeOver, privileged, elsewhere},
		},
		"node":                      {request{}, []string{agents, apiServer, privileged}, []string{takeOver, elsewhere}},
		"full":                      {request{values: "mode: full"}, []string{agents, takeOver, "not ready, and their log"}, nil},
		"the API server is known":   {request{values: "apiServer: {host: a}"}, []string{agents}, []string{apiServer}},
		"the namespace is rendered": {request{values: "namespace: {create: true}"}, []string{agents}, []string{privileged}},
		"another namespace":         {request{namespace: "services"}, []string{elsewhere, "kubectl -n services"}, []string{"-n switchyard-system"}},
		"CRDs go":                   {request{values: "crds: {keep: false}"}, []string{"removing Switchyard\"."}, []string{"CRDs stay"}},
		"DNS":                       {request{values: "dns: {enabled: true}"}, []string{"kubectl -n kube-system rollout status daemonset/switchyard-dns"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made, err := tc.template(t)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tc.want {
				if !strings.Contains(made.Info.Notes, want) {
					t.Errorf("the notes do not say %q:\n%s", want, made.Info.Notes)
				}
			}
			for _, not := range tc.wantNot {
				if strings.Contains(made.Info.Notes, not) {
					t.Errorf("the notes say %q:\n%s", not, made.Info.Notes)
				}
			}
		})
	}
}

// In another namespace, nothing is left of the one of config/.
func TestEachNamespaceWillDo(t *testing.T) {
	for _, name := range []string{"services", "123"} {
		made, err := request{values: written(t, everything(t)), namespace: name}.template(t)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(made.Manifest) {
			if strings.Contains(line, namespace) {
				t.Errorf("in the namespace %s: %s", name, line)
			}
		}
		objects := decode(t, made.Manifest)
		if got := dig(objects[managerID], "metadata")["namespace"]; got != name {
			t.Errorf("the manager is in the namespace %v, not %q", got, name)
		}
		if !strings.Contains(made.Manifest, "startsWith(''system:serviceaccount:"+name+":'')") {
			t.Errorf("the accounts of %s are not exempt", name)
		}
	}
}

func TestTheLinterHasNothingToSay(t *testing.T) {
	directory, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	lint := action.NewLint()
	lint.Strict, lint.Namespace = true, namespace
	if lint.KubeVersion, err = common.ParseKubeVersion("v1.37.0"); err != nil {
		t.Fatal(err)
	}
	result := lint.Run([]string{directory}, everything(t))
	for _, m := range result.Messages {
		if !strings.Contains(m.Err.Error(), "icon is recommended") {
			t.Error(m)
		}
	}
	if len(result.Errors) > 0 || result.TotalChartsLinted != 1 {
		t.Errorf("%d charts, %v", result.TotalChartsLinted, result.Errors)
	}
}
