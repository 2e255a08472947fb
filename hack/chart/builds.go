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
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// A feature is what a kustomization on top of an overlay can add.
type feature struct {
	name string
	// list is the one of kustomization.yaml that names the directory.
	list, directory string
}

// modes are the directories of config/overlays.
var modes = []string{"stock", "node", "full"}

var features = []feature{
	{name: "certmanager", list: "components", directory: "../certmanager"},
	{name: "announce-l2", list: "components", directory: "../announce-l2"},
	{name: "node-metrics", list: "components", directory: "../node-metrics"},
	{name: "prometheus", list: "resources", directory: "../prometheus"},
	{name: "network-policy", list: "resources", directory: "../network-policy"},
}

// others are the directories of config/ that are part of all choices, or of none.
var others = []string{
	"crd", "default", "dns", "grafana", "local", "manager", "namespace", "node", "overlays", "policy", "rbac", "samples", "webhook",
}

// A choice is one way to install.
type choice struct {
	mode     string
	features []string
}

// choices are the ones that tell what each mode and each feature changes, alone
// and beside the others.
func choices() []choice {
	var all []choice
	for _, mode := range modes {
		c := []choice{{mode: mode}, {mode: mode}}
		for _, f := range features {
			c = append(c, choice{mode: mode, features: []string{f.name}})
			c[1].features = append(c[1].features, f.name)
		}
		all = append(all, c...)
	}
	return all
}

// An object is one manifest, and the file of config/ that it comes from.
type object struct {
	origin  string
	content map[string]any
}

// tree is config/ in memory, where kustomizations can be added.
type tree map[string][]byte

func readTree(root string) (tree, error) {
	t := tree{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		t[filepath.ToSlash(relative)], err = os.ReadFile(name)
		return err
	})
	return t, err
}

// known checks that each directory is known here.
func (t tree) known() error {
	for name := range t {
		directory, _, _ := strings.Cut(name, "/")
		if slices.Contains(others, directory) || slices.ContainsFunc(features, func(f feature) bool { return path.Base(f.directory) == directory }) {
			continue
		}
		return fmt.Errorf("config/%s is new: offer it as a feature in builds.go, or name it among the others there", directory)
	}
	return nil
}

// top is the directory of a kustomization such as docs/install.md describes.
const top = "top"

// build renders an overlay with features on top.
func (t tree) build(c choice) ([]object, error) {
	k := map[string]any{"buildMetadata": []any{types.OriginAnnotations}, "resources": []any{path.Join("..", "overlays", c.mode)}}
	for _, f := range features {
		if slices.Contains(c.features, f.name) {
			list, _ := k[f.list].([]any)
			k[f.list] = append(list, f.directory)
		}
	}
	content, err := yaml.Marshal(k)
	if err != nil {
		return nil, err
	}
	withTop := maps.Clone(t)
	withTop[path.Join(top, "kustomization.yaml")] = content
	return withTop.kustomize(top)
}

// buildDirectory renders a kustomization as it is.
func (t tree) buildDirectory(directory string) ([]object, error) {
	name := path.Join(directory, "kustomization.yaml")
	k := map[string]any{}
	if err := yaml.Unmarshal(t[name], &k); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	k["buildMetadata"] = []any{types.OriginAnnotations}
	content, err := yaml.Marshal(k)
	if err != nil {
		return nil, err
	}
	withOrigins := maps.Clone(t)
	withOrigins[name] = content
	return withOrigins.kustomize(directory)
}

func (t tree) kustomize(directory string) ([]object, error) {
	disk := filesys.MakeFsInMemory()
	for name, content := range t {
		if err := disk.WriteFile(path.Join("/config", name), content); err != nil {
			return nil, err
		}
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, path.Join("/config", directory))
	if err != nil {
		return nil, fmt.Errorf("building config/%s: %w", directory, err)
	}
	var objects []object
	for _, r := range built.Resources() {
		content, err := r.Map()
		if err != nil {
			return nil, err
		}
		origin, err := r.GetOrigin()
		if err != nil {
			return nil, fmt.Errorf("where %s comes from: %w", r.CurId(), err)
		}
		from := path.Join(directory, origin.Path)
		if origin.ConfiguredIn != "" {
			from = path.Join(directory, origin.ConfiguredIn)
		}
		withoutOrigin(content)
		objects = append(objects, object{origin: from, content: content})
	}
	return objects, nil
}

// withoutOrigin removes the annotation that kustomize was asked for.
func withoutOrigin(content map[string]any) {
	metadata, _ := content["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	delete(annotations, "config.kubernetes.io/origin")
	if len(annotations) == 0 {
		delete(metadata, "annotations")
	}
}
