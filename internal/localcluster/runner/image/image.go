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
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Image is one that containers can be run from.
type Image struct {
	// Names are the normalized references that it goes by, of which the last
	// has its digest.
	Names []string
	// Root is the directory with its files.
	Root   string
	Config Config
}

// Config is what an image says about how it is run (image-spec, config.md).
type Config struct {
	User       string   `json:",omitempty"`
	Env        []string `json:",omitempty"`
	Entrypoint []string `json:",omitempty"`
	Cmd        []string `json:",omitempty"`
	WorkingDir string   `json:",omitempty"`
}

// Digest is the last of its names: whatever is asked for, this is what it is.
func (i Image) Digest() string { return i.Names[len(i.Names)-1] }

// Set are the images that a node has.
type Set []Image

// Find is the image of that reference.
func (s Set) Find(reference string) (Image, bool) {
	name, err := Normalize(reference)
	if err != nil {
		return Image{}, false
	}
	for _, image := range s {
		if slices.Contains(image.Names, name) {
			return image, true
		}
	}
	return Image{}, false
}

// Load unpacks the images in archives into directories below dir, for this
// machine's architecture. A name that two archives have is the later one's.
func Load(archives []string, dir string) (Set, error) {
	var set Set
	for _, path := range archives {
		images, err := loadOne(path, dir)
		if err != nil {
			return nil, fmt.Errorf("loading image %s: %w", path, err)
		}
		set = slices.Concat(images, set)
	}
	return set, nil
}

func loadOne(path, dir string) (Set, error) {
	a, err := openArchive(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = a.Close() }()
	named, err := a.images(runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	var set Set
	for _, m := range named {
		root := filepath.Join(dir, strings.ReplaceAll(m.digest, ":", "-"))
		config, err := a.config(m)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(root); err != nil { // not of another name
			if err := a.unpack(m, root); err != nil {
				return nil, err
			}
		}
		set = append(set, Image{Names: m.names, Root: root, Config: config})
	}
	return set, nil
}
