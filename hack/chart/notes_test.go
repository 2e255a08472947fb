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
		audit       = "--set manager.config.admissionAudit=true"
		image       = "--set image.repository=REGISTRY/switchyard"
		clusterCIDR = "--set node.config.clusterCIDR=CIDR"
		takeOver    = "--controllers=*,-endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller"
		apiServer   = "--set apiServer.host=HOST"
		agents      = "rollout status daemonset/switchyard-node"
		privileged  = "pod-security.kubernetes.io/enforce=privileged"
		elsewhere   = "--manager-namespace=services"
	)
	for name, tc := range map[string]struct {
		request
		want, wantNot []string
	}{
		"stock, which is the default": {
			request{},
			[]string{"in mode stock", "--set mode=node", "kubectl -n switchyard-system rollout status deployment/switchyard-manager", audit, image, "The CRDs stay."},
			[]string{agents, apiServer, clusterCIDR, takeOver, privileged, elsewhere},
		},
		"node":                      {request{values: "mode: node"}, []string{agents, apiServer, clusterCIDR, privileged, audit}, []string{takeOver, elsewhere}},
		"full":                      {request{values: "mode: full"}, []string{agents, takeOver, "not ready, and their log"}, nil},
		"the API server is known":   {request{values: "{mode: node, apiServer: {host: a}}"}, []string{agents}, []string{apiServer}},
		"the pods are known":        {request{values: "{mode: node, node: {config: {clusterCIDR: 10.0.0.0/8}}}"}, []string{agents}, []string{clusterCIDR}},
		"the rules only warn":       {request{values: "manager: {config: {admissionAudit: true}}"}, nil, []string{audit}},
		"nothing is configured":     {request{values: "{manager: {config: null}, node: {config: null, affinity: null}}"}, []string{audit}, nil},
		"the image has a registry":  {request{values: "image: {repository: registry.example.com/switchyard}"}, nil, []string{image}},
		"the namespace is rendered": {request{values: "{mode: node, namespace: {create: true}}"}, []string{agents}, []string{privileged}},
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
