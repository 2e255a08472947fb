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

package ruleset

import "slices"

// claims keeps the elements that several ServicePorts may want at once: two
// that share an endpoint want the same hairpin element, and two that claim the
// same VIP want one key to lead to two ids. The first by name has it; the next
// gets it when that one goes.
type claims map[claimKey][]claim

type claimKey struct{ set, key string }

type claim struct {
	by   *servicePort
	data string
}

// holder is the data that the kernel is to hold for k; ok is false if no one
// claims it.
func (c claims) holder(k claimKey) (data string, ok bool) {
	if list := c[k]; len(list) > 0 {
		return list[0].data, true
	}
	return "", false
}

func (c claims) add(by *servicePort, e Element) {
	k := claimKey{e.Set, e.Key}
	list := c[k]
	at, _ := slices.BinarySearchFunc(list, by, func(c claim, by *servicePort) int {
		return c.by.decision.Name.Compare(by.decision.Name)
	})
	c[k] = slices.Insert(list, at, claim{by, e.Data})
}

func (c claims) remove(by *servicePort, e Element) {
	k := claimKey{e.Set, e.Key}
	list := slices.DeleteFunc(c[k], func(c claim) bool { return c.by == by })
	if len(list) == 0 {
		delete(c, k)
		return
	}
	c[k] = list
}
