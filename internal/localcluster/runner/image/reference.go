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
	"strings"
)

// Normalize is the one spelling of an image reference: with the registry and
// the tag that are meant where none is named, so that switchyard:latest,
// docker.io/library/switchyard and index.docker.io/library/switchyard:latest
// are the same.
func Normalize(reference string) (string, error) {
	name, digest, byDigest := strings.Cut(reference, "@")
	tag := "latest"
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, tag = name[:i], name[i+1:]
	}
	registry, path, ok := strings.Cut(name, "/")
	if !ok || !isRegistry(registry) {
		registry, path = "docker.io", name
	}
	if registry == "index.docker.io" {
		registry = "docker.io"
	}
	if registry == "docker.io" && !strings.Contains(path, "/") {
		path = "library/" + path
	}
	if path == "" || strings.HasSuffix(path, "/") || tag == "" || (byDigest && digest == "") || strings.ContainsAny(reference, " \t\n") {
		return "", fmt.Errorf("%q is no image reference", reference)
	}
	if byDigest {
		return registry + "/" + path + "@" + digest, nil
	}
	return registry + "/" + path + ":" + tag, nil
}

// isRegistry tells a host from the first part of a path, as Docker does.
func isRegistry(part string) bool {
	return part == "localhost" || strings.ContainsAny(part, ".:")
}
