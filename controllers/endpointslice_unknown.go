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

import (
	"fmt"
	"slices"
	"strings"
)

// nodesUnknown is the error of pods that are left out since their nodes are not
// known. It names a few, each once: a Service of two families leaves out each twice,
// and an Event has room for so many words only.
func nodesUnknown(pods []string) error {
	const few = 3
	pods = slices.Compact(slices.Sorted(slices.Values(pods)))
	switch more := len(pods) - few; {
	case len(pods) == 0:
		return nil
	case len(pods) == 1:
		return fmt.Errorf("leaving out pod %s: its node is not known", pods[0])
	case more > 1:
		return fmt.Errorf("leaving out pods %s and %d more: their nodes are not known", strings.Join(pods[:few], ", "), more)
	}
	return fmt.Errorf("leaving out pods %s: their nodes are not known", strings.Join(pods, ", "))
}
