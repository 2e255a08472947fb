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

import "testing"

func TestVersionIsSemantic(t *testing.T) {
	for text, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3": "1.2.3", "v1.2.3-4-gabcdef": "1.2.3-4-gabcdef", "v1.2.3-rc.1": "1.2.3-rc.1", "0123456": "0.0.0-g0123456",
	} {
		if got := semantic(text); got != want {
			t.Errorf("of %s comes version %s, and is to come %s", text, got, want)
		}
	}
}

func TestImageIsDivided(t *testing.T) {
	type parts struct{ name, tag, digest any }
	for image, want := range map[string]parts{
		"":                                 {"switchyard", "latest", ""},
		"registry.example.com/net/sy:v1.2": {"registry.example.com/net/sy", "v1.2", ""},
		"localhost:5000/sy:v1":             {"localhost:5000/sy", "v1", ""},
		"localhost:5000/sy@sha256:ab":      {"localhost:5000/sy", "latest", "sha256:ab"},
		"sy:v1@sha256:ab":                  {"sy", "v1", "sha256:ab"},
	} {
		repository, digest := &value{path: "image.repository", initial: "switchyard:latest"}, &value{path: "image.digest"}
		tag, err := setImage([]*value{repository, digest}, image)
		if got := (parts{repository.initial, tag, digest.initial}); err != nil || got != want {
			t.Errorf("%s is divided into %v, %v, and is to be %v", image, got, err, want)
		}
	}
	if _, err := setImage([]*value{{path: "image.repository", initial: "x"}, {path: "image.digest"}}, "localhost:5000/sy"); err == nil {
		t.Error("an image without a tag is taken")
	}
}
