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

package image

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// Media types; Docker's are the same things under older names.
const (
	typeIndex      = "application/vnd.oci.image.index.v1+json"
	typeDockerList = "application/vnd.docker.distribution.manifest.list.v2+json"
	typeManifest   = "application/vnd.oci.image.manifest.v1+json"
	typeDocker     = "application/vnd.docker.distribution.manifest.v2+json"
)

// maxDepth is how many indexes may lead to a manifest.
const maxDepth = 3

type index struct {
	Manifests []descriptor `json:"manifests"`
}

// manifest is an image of one platform.
type manifest struct {
	Config descriptor   `json:"config"`
	Layers []descriptor `json:"layers"`

	digest string
	names  []string
}

// images are those in the archive that are for an architecture, each with its
// names.
func (a *archive) images(arch string) ([]manifest, error) {
	top, err := a.index()
	if err != nil {
		return nil, err
	}
	var all []manifest
	for _, d := range top.Manifests {
		names, err := namesOf(d)
		if err != nil {
			return nil, err
		}
		found, ok, err := a.forPlatform(d, arch, 0)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("%s is not for linux/%s: build it for this machine, with PLATFORMS=linux_%s", names[0], arch, arch)
		}
		found.names = names
		all = append(all, found)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no image in it")
	}
	return all, nil
}

// namesOf reads the two annotations that archives name images with: whole
// references, or the tag alone. The last name is the one with the digest.
func namesOf(d descriptor) ([]string, error) {
	var names []string
	for _, key := range []string{"io.containerd.image.name", "org.opencontainers.image.ref.name"} {
		given := d.Annotations[key]
		if given == "" || (key != "io.containerd.image.name" && !strings.ContainsAny(given, "/:")) {
			continue
		}
		name, err := Normalize(given)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("it does not name its image: annotation io.containerd.image.name is missing in index.json")
	}
	repository, _, _ := strings.Cut(names[0], "@")
	if i := strings.LastIndexByte(repository, ':'); i > strings.LastIndexByte(repository, '/') {
		repository = repository[:i]
	}
	return append(names, repository+"@"+d.Digest), nil
}

// forPlatform follows indexes to the manifest of an architecture.
func (a *archive) forPlatform(d descriptor, arch string, depth int) (manifest, bool, error) {
	if depth > maxDepth {
		return manifest{}, false, errors.New("its indexes lead nowhere")
	}
	switch d.MediaType {
	case typeManifest, typeDocker:
		m := manifest{digest: d.Digest}
		if err := a.document(d, &m); err != nil {
			return manifest{}, false, err
		}
		return m, true, nil
	case typeIndex, typeDockerList:
	default:
		return manifest{}, false, fmt.Errorf("a manifest of type %q is not supported", d.MediaType)
	}
	var of index
	if err := a.document(d, &of); err != nil {
		return manifest{}, false, err
	}
	for _, next := range of.Manifests {
		if next.Platform != nil && (next.Platform.OS != runtime.GOOS || next.Platform.Architecture != arch) {
			continue
		}
		if m, ok, err := a.forPlatform(next, arch, depth+1); ok || err != nil {
			return m, ok, err
		}
	}
	return manifest{}, false, nil
}

// config reads how the image is run, and refuses another architecture's.
func (a *archive) config(m manifest) (Config, error) {
	var file struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Config       Config `json:"config"`
	}
	if err := a.document(m.Config, &file); err != nil {
		return Config{}, err
	}
	if file.OS != runtime.GOOS || file.Architecture != runtime.GOARCH {
		return Config{}, fmt.Errorf("%s is for %s/%s, this machine is %s/%s", m.names[0], file.OS, file.Architecture, runtime.GOOS, runtime.GOARCH)
	}
	return file.Config, nil
}
