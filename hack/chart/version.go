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
	"regexp"
	"strings"
)

var semanticVersion = regexp.MustCompile(`^v?([0-9]+\.[0-9]+\.[0-9]+([-+].*)?)$`)

// semantic makes a version of a chart of what git describe says: of a commit
// without a tag before it, one before all others.
func semantic(version string) string {
	if found := semanticVersion.FindStringSubmatch(version); found != nil {
		return found[1]
	}
	return "0.0.0-g" + version
}

// setImage divides an image into the defaults of its values, and returns its tag,
// which is the chart's appVersion.
func setImage(all []*value, image string) (string, error) {
	named := map[string]*value{}
	for _, v := range all {
		named[v.path] = v
	}
	repository, digest := named["image.repository"], named["image.digest"]
	if image == "" {
		image, _ = repository.initial.(string)
	}
	name, hash, _ := strings.Cut(image, "@")
	digest.initial = hash
	tag := "latest"
	// A colon before the last slash is that of a port.
	if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
		name, tag = name[:colon], name[colon+1:]
	} else if hash == "" {
		return "", fmt.Errorf("the image %s has no tag: write it as %s:v1.2.3", image, image)
	}
	repository.initial = name
	return tag, nil
}
