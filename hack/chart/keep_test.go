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
	"strings"
	"testing"
)

// Pools and reservations go with their CRDs, and everything with its namespace:
// only `keep` has Helm leave them.
func TestWhatHoldsOtherThingsIsKept(t *testing.T) {
	for values, want := range map[string]struct {
		kind  string
		value any
		least int
	}{
		"namespace: {create: true}": {"Namespace", "keep", 1},
		"{}":                        {"CustomResourceDefinition", "keep", 2},
		"crds: {keep: false}":       {"CustomResourceDefinition", nil, 2},
	} {
		number := 0
		for id, o := range (request{values: values}).manifests(t) {
			if !strings.HasPrefix(id, want.kind+"/") {
				continue
			}
			number++
			annotations, _ := o["metadata"].(map[string]any)["annotations"].(map[string]any)
			if got := annotations["helm.sh/resource-policy"]; got != want.value {
				t.Errorf("%s: %s has the policy %v, want %v", values, id, got, want.value)
			}
		}
		if number < want.least {
			t.Errorf("%s: there are %d of %s", values, number, want.kind)
		}
	}
}
