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

package controllers

import "testing"

func TestPodsOfUnknownNodesAreNamedOnce(t *testing.T) {
	for want, pods := range map[string][]string{
		"": nil,
		"leaving out pod a: its node is not known":                       {"a", "a"},
		"leaving out pods a, b: their nodes are not known":               {"b", "a", "b", "a"},
		"leaving out pods a, b, c, d: their nodes are not known":         {"a", "b", "c", "d"},
		"leaving out pods a, b, c and 2 more: their nodes are not known": {"a", "b", "c", "d", "e", "a", "b", "c", "d", "e"},
	} {
		got := ""
		if err := nodesUnknown(pods); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
