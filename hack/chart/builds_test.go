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
	"strings"
	"testing"
)

// What is added on top of an overlay has the names and the namespace that its
// other objects know it by.
func TestPartsOnTopFitTheOverlays(t *testing.T) {
	config, err := readTree("../../config")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range choices() {
		objects, err := config.build(c)
		if err != nil {
			t.Fatal(err)
		}
		certificates := map[string]bool{}
		for _, o := range objects {
			metadata, _ := o.content["metadata"].(map[string]any)
			name, namespace := fmt.Sprint(metadata["name"]), metadata["namespace"]
			if namespace == "system" || strings.HasPrefix(name, "switchyard-switchyard") {
				t.Errorf("%v: %s %v/%s is not what it should be called", c, o.content["kind"], namespace, name)
			}
			if o.content["kind"] == "Certificate" {
				certificates[fmt.Sprintf("%v/%s", namespace, name)] = true
			}
		}
		injected := 0
		for _, o := range objects {
			metadata, _ := o.content["metadata"].(map[string]any)
			annotations, _ := metadata["annotations"].(map[string]any)
			from, ok := annotations["cert-manager.io/inject-ca-from"]
			if !ok {
				continue
			}
			injected++
			if kind := fmt.Sprint(o.content["kind"]); !strings.HasSuffix(kind, "WebhookConfiguration") || !certificates[fmt.Sprint(from)] {
				t.Errorf("%v: %s %v gets the authority of %v", c, kind, metadata["name"], from)
			}
		}
		if len(certificates) > 0 && injected != 2 {
			t.Errorf("%v: %d objects get the authority, want 2", c, injected)
		}
	}
}
