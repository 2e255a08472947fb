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

import "fmt"

// Where the programs are in the manifests.
const (
	managerID  = "Deployment/switchyard-manager"
	managerPod = "spec/template/spec"
	manager    = managerPod + "/containers/manager"

	agentID  = "DaemonSet/switchyard-node"
	agentPod = "spec/template/spec"
	agent    = agentPod + "/containers/node"
	setUp    = agentPod + "/initContainers/set-up"

	dnsID  = "DaemonSet/switchyard-dns"
	dnsPod = "spec/template/spec"
	dns    = dnsPod + "/containers/dns"
)

// values are all settings, in the order of values.yaml.
func values() []*value {
	var all []*value
	for _, group := range [][]value{
		generalValues(), managerValues(), nodeValues(), dnsValues(), optionValues(),
	} {
		for _, v := range group {
			all = append(all, &v)
		}
	}
	return all
}

// apply puts all values into the manifests.
func (c *chart) apply(all []*value) error {
	for _, v := range all {
		for _, e := range v.edits {
			if err := e(c, v); err != nil {
				return fmt.Errorf("value %s: %w", v.path, err)
			}
		}
	}
	return c.finish()
}

// generalValues are about everything.
func generalValues() []value {
	return []value{
		{
			// Who installs without reading is not to have the way of packets changed.
			path: "mode", initial: "stock", schema: oneOf("stock", "node", "full"),
			doc: "What is installed: `stock` (beside kube-proxy: admission, pools, diagnosis), `node` (the agents take kube-proxy's place, on all nodes at" +
				" once unless `node.affinity` says on which) or `full` (and the manager takes that of kube-controller-manager's endpoint controllers).",
		},
		{
			path: "image.repository", schema: text(1),
			doc:   "The image of all programs, without a tag.",
			edits: images(),
		},
		{path: "image.tag", initial: "", schema: text(0), doc: "Its tag; the chart's `appVersion` if empty."},
		{
			path: "image.digest", initial: "", schema: pattern(`^(sha256:[0-9a-f]{64})?$`),
			doc: "Its digest, which wins over the tag: `sha256:...`.",
		},
		{
			path: "image.pullPolicy", schema: oneOf("Always", "IfNotPresent", "Never"), doc: "When nodes pull it.",
			edits: []edit{
				replaced(managerID, manager+"/imagePullPolicy"), replaced(agentID, agent+"/imagePullPolicy"),
				replaced(agentID, setUp+"/imagePullPolicy"), replaced(dnsID, dns+"/imagePullPolicy"),
			},
		},
		{
			path: "imagePullSecrets", initial: []any{}, schema: listOf(object0()),
			doc: "Secrets with the credentials of the image's registry: `[{name: NAME}]`.",
			edits: []edit{
				optional(managerID, managerPod, "imagePullSecrets"), optional(agentID, agentPod, "imagePullSecrets"),
				optional(dnsID, dnsPod, "imagePullSecrets"),
			},
		},
		{path: "commonLabels", initial: map[string]any{}, schema: labels(), doc: "Labels for every object. Pods have their own."},
		{
			path: "apiServer.host", initial: "", schema: text(0),
			doc: "Where the API server is, without Services: a name or an address. The agents make its ClusterIP work, so where kube-proxy does not run" +
				" they need this. It makes the ConfigMap `switchyard-apiserver`; if empty, one that is there is used.",
			edits: []edit{
				added(managerID, "spec/template/metadata/annotations", "checksum/apiserver", ".Values.apiServer.host", checksum("apiServer")),
				added(agentID, "spec/template/metadata/annotations", "checksum/apiserver", ".Values.apiServer.host", checksum("apiServer")),
			},
		},
		{path: "apiServer.port", initial: 6443, schema: number(1, 65535), doc: "The port of the API server there."},
		{
			path: "crds.install", initial: true, schema: boolean(),
			doc:   "Install the CRDs, and bring them up to date with every upgrade.",
			edits: []edit{kinds("crd", "CustomResourceDefinition", ".Values.crds.install")},
		},
		{
			path: "crds.keep", initial: true, schema: boolean(),
			doc: "Leave the CRDs, and so all pools and reservations, when the release is uninstalled or `crds.install` is turned off.",
			edits: []edit{eachOf("crd", "CustomResourceDefinition", func(id string) edit {
				return added(id, "metadata/annotations", "helm.sh/resource-policy", ".Values.crds.keep", scalar{"keep"})
			})},
		},
		{
			path: "namespace.create", initial: false, schema: boolean(),
			doc: "Render the Namespace as well, with the Pod Security level that the mode needs. For `helm template` and GitOps; `helm install` makes the" +
				" namespace of a release itself (`--create-namespace`), and leaves the label to you.",
			edits: []edit{
				whole("Namespace/"+namespace, ".Values.namespace.create"),
				added("Namespace/"+namespace, "metadata", "annotations", "", &mapping{entries: []*entry{{key: "helm.sh/resource-policy", value: scalar{"keep"}}}}),
			},
		},
		{
			path: "namespace.labels", initial: map[string]any{}, schema: labels(), doc: "More labels of that Namespace.",
			edits: []edit{merged("Namespace/"+namespace, "metadata/labels")},
		},
	}
}

func images() []edit {
	var all []edit
	for _, at := range [][2]string{{managerID, manager}, {agentID, agent}, {agentID, setUp}, {dnsID, dns}} {
		all = append(all, func(c *chart, v *value) error { return image(c, v, at[0], at[1]+"/image") })
	}
	return all
}

// image takes the default of the repository from the image that config/ names.
func image(c *chart, v *value, id, path string) error {
	if err := replaced(id, path)(c, v); err != nil {
		return err
	}
	return rewritten(id, path, inline(`{{ include "switchyard.image" . | quote }}`))(c, v)
}

// checksum changes when the values below a path do.
func checksum(path string) node {
	return inline("{{ toYaml .Values." + path + " | sha256sum }}")
}
