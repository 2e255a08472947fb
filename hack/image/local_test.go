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
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Tests start clusters with such an image, many times; it is not compressed.
func TestAnImageForThisMachine(t *testing.T) {
	directory := t.TempDir()
	build(t, directory, "linux", "amd64")
	for local, want := range map[bool]types.MediaType{true: types.OCIUncompressedLayer, false: types.OCILayer} {
		platforms, err := findPlatforms(directory, true)
		if err != nil {
			t.Fatal(err)
		}
		index, err := assemble(platforms, options{local: local})
		if err != nil {
			t.Fatal(err)
		}
		// Whoever reads it goes by what is written.
		to, err := layout.Write(filepath.Join(t.TempDir(), "image"), index)
		if err != nil {
			t.Fatal(err)
		}
		if index, err = to.ImageIndex(); err != nil {
			t.Fatal(err)
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		image, err := index.Image(manifest.Manifests[0].Digest)
		if err != nil {
			t.Fatal(err)
		}
		m, err := image.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Layers) != 2 {
			t.Errorf("there are %d layers, want the base and the program", len(m.Layers))
		}
		for _, l := range m.Layers {
			if l.MediaType != want {
				t.Errorf("local %t: a layer is %s, want %s", local, l.MediaType, want)
			}
		}
		if root := entries(t, mutate.Extract(image)); root["program"].header == nil || root["etc/passwd"].header == nil {
			t.Errorf("local %t: the program or users are not in it", local)
		}
	}
}
