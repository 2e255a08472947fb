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

import (
	"cmp"
	"slices"
)

// claims keeps the elements that several ServicePorts may want at once: two
// that share an endpoint want the same hairpin element, two that claim the same
// VIP want one key to lead to two ids, and where a VIP is an address of the node
// the NodePort of another may be the same destination. The first in the order
// of claimKey.compare has it; the next gets it when that one goes.
type claims map[claimKey][]claim

type claimKey struct{ set, key string }

// compare orders claimants. Whoever has a frontend for a VIP comes before those
// who answer there by a NodePort, as the chain find-service has it: its source
// ranges count and its policy says who is masqueraded. Then the name counts.
func (k claimKey) compare(a, b *servicePort) int {
	rank := func(sp *servicePort) int {
		if k.set != frontendSets && k.set != SourceRanges {
			return 0
		}
		if f, ok := ReadFrontend(k.key); ok && sp.hasVIP(f) {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), a.decision.Name.Compare(b.decision.Name))
}

// visit visits the elements that a claim stands for.
func (k claimKey) visit(data string, visit func(Element)) {
	switch k.set {
	case SourceRanges:
		for _, e := range expandRanges(k.key, data) {
			visit(e)
		}
	case frontendSets:
		visit(Element{Set: data, Key: k.key})
	default:
		visit(Element{k.set, k.key, data})
	}
}

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
	at, _ := slices.BinarySearchFunc(list, by, func(c claim, by *servicePort) int { return k.compare(c.by, by) })
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
