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
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// assemble makes an image of each platform and the index of them.
func assemble(platforms []platform, o options) (v1.ImageIndex, error) {
	base, err := baseLayer(o.local)
	if err != nil {
		return nil, err
	}
	var all []mutate.IndexAddendum
	for _, p := range platforms {
		image, err := imageOf(p, base, o)
		if err != nil {
			return nil, err
		}
		all = append(all, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: p.os, Architecture: p.arch}}})
	}
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), all...)
	return mutate.Annotations(index, annotations(o)).(v1.ImageIndex), nil
}

// imageOf has a layer for each program: a release that changes one of them is
// pulled as that one.
func imageOf(p platform, base v1.Layer, o options) (v1.Image, error) {
	history := v1.History{Created: v1.Time{Time: o.created.UTC()}, CreatedBy: "switchyard/hack/image"}
	layers := []mutate.Addendum{{Layer: base, History: history}}
	for _, program := range p.programs {
		l, err := programLayer(program, o.local)
		if err != nil {
			return nil, err
		}
		history.Comment = program.name
		layers = append(layers, mutate.Addendum{Layer: l, History: history})
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(image, layers...)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = p.os, p.arch
	config.Created = v1.Time{Time: o.created.UTC()}
	config.Config = v1.Config{User: user + ":" + user, WorkingDir: "/", Env: []string{"PATH=/"}, Labels: annotations(o)}
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		return nil, err
	}
	return mutate.Annotations(image, annotations(o)).(v1.Image), nil
}

// annotations are the OCI image specification's.
func annotations(o options) map[string]string {
	a := map[string]string{
		"org.opencontainers.image.title":       "switchyard",
		"org.opencontainers.image.description": "The whole of Kubernetes Services as one suite",
		"org.opencontainers.image.licenses":    "Apache-2.0",
	}
	if o.version != "" {
		a["org.opencontainers.image.version"] = o.version
	}
	if o.revision != "" {
		a["org.opencontainers.image.revision"] = o.revision
	}
	return a
}
