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

package model

import "strings"

// interner gives equal texts the same memory: the names of nodes, zones and
// namespaces come with every endpoint and object, in memory of its own.
type interner map[string]string

// maxInterned bounds the names that are remembered. Forgetting them costs no
// more than a second copy of those still in use.
const maxInterned = 1 << 16

func (in interner) intern(text string) string {
	if text == "" {
		return ""
	}
	if known, ok := in[text]; ok {
		return known
	}
	if len(in) >= maxInterned {
		clear(in)
	}
	own := strings.Clone(text)
	in[own] = own
	return own
}
