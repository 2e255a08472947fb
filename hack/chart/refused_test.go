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
	"slices"
	"testing"
)

// What can not work is refused before anything is made, and the message says what
// to write.
func TestNonsenseIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		request
		want string
	}{
		"a mode that there is not":               {request{values: "mode: all"}, "at '/mode': value must be one of 'stock', 'node', 'full'"},
		"a name that there is not":               {request{values: "manager: {replica: 3}"}, "at '/manager': additional properties 'replica' not allowed"},
		"a group that there is not":              {request{values: "agent: {}"}, "additional properties 'agent' not allowed"},
		"no replica":                             {request{values: "manager: {replicas: 0}"}, "at '/manager/replicas': minimum: got 0, want 1"},
		"a text in the place of a number":        {request{values: `manager: {replicas: "2"}`}, "at '/manager/replicas': got string, want integer"},
		"a text in the place of a list":          {request{values: "node: {extraArgs: --v=2}"}, "at '/node/extraArgs': got string, want array"},
		"a configuration as a text":              {request{values: `node: {config: "clusterCIDR: 10.0.0.0/8"}`}, "at '/node/config': got string, want object"},
		"a digest that is none":                  {request{values: "image: {digest: latest}"}, "at '/image/digest': 'latest' does not match pattern"},
		"a port that is none":                    {request{values: "apiServer: {host: a, port: 70000}"}, "at '/apiServer/port': maximum: got 70,000, want 65,535"},
		"a way to announce that there is not":    {request{values: "node: {announce: bgp}"}, "value must be one of '', 'l2', 'routes', 'l2,routes'"},
		"resources that are none":                {request{values: "manager: {resources: {memory: 1Gi}}"}, "additional properties 'memory' not allowed"},
		"a range that is none":                   {request{values: "manager: {serviceNodePortRange: 30000}"}, "at '/manager/serviceNodePortRange': got number, want string"},
		"announcements without agents":           {request{values: "mode: stock\nnode: {announce: l2}"}, "in mode stock there are no agents"},
		"a URL in the place of a host":           {request{values: "apiServer: {host: 'https://a:6443'}"}, "give a name or an address alone"},
		"a port behind a host":                   {request{values: "apiServer: {host: 'a:6443'}"}, "the port is apiServer.port"},
		"an address in brackets":                 {request{values: "apiServer: {host: '[fd00::1]'}"}, "without https://, port or brackets"},
		"two words as a host":                    {request{values: "apiServer: {host: a b}"}, "give a name or an address alone"},
		"a range that ends before it begins":     {request{values: "manager: {serviceNodePortRange: 5-1}"}, `serviceNodePortRange is "5-1": give the first and the last port`},
		"no node":                                {request{values: "node: null"}, "missing property 'node'"},
		"no manager":                             {request{values: "manager: null"}, "missing property 'manager'"},
		"no image":                               {request{values: "image: null"}, "missing property 'image'"},
		"no API server":                          {request{values: "apiServer: null"}, "missing property 'apiServer'"},
		"a label that pods are found by":         {request{values: "node: {podLabels: {app.kubernetes.io/name: mine}}"}, "node.podLabels has the label app.kubernetes.io/name"},
		"the same for everything":                {request{values: "commonLabels: {control-plane: mine}"}, "commonLabels has the label control-plane"},
		"a namespace of others":                  {request{namespace: "default"}, "--namespace switchyard-system --create-namespace"},
		"the namespace of the system":            {request{namespace: "kube-system"}, "its admission rules leave out the namespace of the manager"},
		"an old Kubernetes":                      {request{kubernetes: "v1.32.9"}, "requires kubeVersion: >=1.33.0-0"},
		"a Kubernetes that is too old for names": {request{kubernetes: "v1.33.7", values: "dns: {enabled: true}"}, "dns.enabled needs Kubernetes 1.34 or newer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.refused(t, tc.want)
		})
	}
}

func TestHostsAreTaken(t *testing.T) {
	for _, host := range []string{"api", "api.example.com", "192.0.2.1", "fd00::1", "::ffff:192.0.2.1"} {
		request{values: "apiServer: {host: '" + host + "'}"}.manifests(t)
	}
}

// The words on and off are true and false to YAML.
func TestOffIsTakenForOff(t *testing.T) {
	for _, text := range []string{"off", `"off"`} {
		args := argumentsOf(t, request{values: "manager: {allocation: " + text + "}"})
		if !slices.Contains(args, any("--allocation=off")) {
			t.Errorf("with %s the manager has the arguments %v", text, args)
		}
	}
}

func TestEachKubernetesIsServed(t *testing.T) {
	for _, version := range []string{"v1.33.0", "v1.34.2", "v1.35.1-gke.100", "v1.36.0", "v1.37.1", "v1.38.0-alpha.1"} {
		request{kubernetes: version}.manifests(t)
	}
	request{kubernetes: "v1.34.0", values: "dns: {enabled: true}"}.manifests(t)
}

func argumentsOf(t *testing.T, r request) []any {
	t.Helper()
	deployment := r.manifests(t)[managerID]
	return dig(deployment, "spec", "template", "spec")["containers"].([]any)[0].(map[string]any)["args"].([]any)
}

func dig(o map[string]any, path ...string) map[string]any {
	for _, key := range path {
		o, _ = o[key].(map[string]any)
	}
	return o
}
