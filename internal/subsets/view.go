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

package subsets

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// View is what Endpoints show of a ledger: all of it, or as much as they may hold.
// It stays what it is when the ledger changes.
type View struct {
	namespace string
	subsets   []subsetView
	Truncated bool
}

type subsetView struct {
	ports           []subsetPort
	ready, notReady []*entry
}

// Len is how many addresses there are.
func (v *View) Len() (n int) {
	for i := range v.subsets {
		n += len(v.subsets[i].ready) + len(v.subsets[i].notReady)
	}
	return n
}

// Same says that what both show is equal, of the same ledger at two times.
func (v *View) Same(other *View) bool {
	if v == nil || other == nil {
		return v == other
	}
	return v.Truncated == other.Truncated && slices.EqualFunc(v.subsets, other.subsets, func(a, b subsetView) bool {
		return slices.Equal(a.ports, b.ports) && slices.EqualFunc(a.ready, b.ready, sameAddress) && slices.EqualFunc(a.notReady, b.notReady, sameAddress)
	})
}

// sameAddress is most often told by the pointers.
func sameAddress(a, b *entry) bool {
	return a == b || a.ip == b.ip && a.uid == b.uid && a.name == b.name && a.hostname == b.hostname && a.node == b.node
}

// View shows at most limit addresses, those that Truncate keeps.
func (l *Ledger) View(limit int) *View {
	groups := l.groups()
	shares, truncated := room(groups, limit, func(g *group) (ready, notReady int) {
		for _, c := range g.classes {
			ready, notReady = ready+len(c.ready), notReady+len(c.notReady)
		}
		return ready, notReady
	})
	v := &View{namespace: l.namespace, Truncated: truncated}
	for i, g := range groups {
		subset := subsetView{g.ports, g.first(true, shares[i].ready), g.first(false, shares[i].notReady)}
		if len(subset.ready)+len(subset.notReady) > 0 {
			v.subsets = append(v.subsets, subset)
		}
	}
	return v
}

// group are ports that the same pods offer.
type group struct {
	ports   []subsetPort
	classes []*class
}

// groups are in the order of subsets. A pod is in one class, so ports have the
// same addresses if they are of the same classes.
func (l *Ledger) groups() []group {
	of := map[subsetPort][]*class{}
	for _, key := range slices.Sorted(maps.Keys(l.classes)) {
		c := l.classes[key]
		for _, port := range c.ports {
			of[port] = append(of[port], c)
		}
	}
	var groups []group
	for _, port := range slices.SortedFunc(maps.Keys(of), compareSubsetPorts) {
		at := slices.IndexFunc(groups, func(g group) bool { return slices.Equal(g.classes, of[port]) })
		if at < 0 {
			groups = append(groups, group{classes: of[port]})
			at = len(groups) - 1
		}
		groups[at].ports = append(groups[at].ports, port)
	}
	return groups
}

// first merges the classes' entries, up to n.
func (g *group) first(ready bool, n int) []*entry {
	if n == 0 {
		return nil
	}
	merged := make([]*entry, 0, n)
	left := make([][]*entry, len(g.classes))
	for i, c := range g.classes {
		left[i] = *c.list(ready)
	}
	if len(left) == 1 {
		return append(merged, left[0][:n]...)
	}
	for len(merged) < n {
		least := -1
		for i := range left {
			if len(left[i]) > 0 && (least < 0 || compareEntries(left[i][0], left[least][0]) < 0) {
				least = i
			}
		}
		merged, left[least] = append(merged, left[least][0]), left[least][1:]
	}
	return merged
}

// Subsets are in the form of Repack.
func (v *View) Subsets() []corev1.EndpointSubset {
	packed := make([]corev1.EndpointSubset, 0, len(v.subsets))
	for i := range v.subsets {
		subset := corev1.EndpointSubset{Addresses: v.addresses(v.subsets[i].ready), NotReadyAddresses: v.addresses(v.subsets[i].notReady)}
		for _, port := range v.subsets[i].ports {
			if !port.none {
				subset.Ports = append(subset.Ports, port.endpointPort())
			}
		}
		packed = append(packed, subset)
	}
	return packed
}

func (v *View) addresses(entries []*entry) []corev1.EndpointAddress {
	if len(entries) == 0 {
		return nil
	}
	list, targets := make([]corev1.EndpointAddress, len(entries)), make([]corev1.ObjectReference, len(entries))
	for i, e := range entries {
		targets[i] = corev1.ObjectReference{Kind: "Pod", Namespace: v.namespace, Name: e.name, UID: e.uid}
		list[i] = corev1.EndpointAddress{IP: e.ip, Hostname: e.hostname, TargetRef: &targets[i]}
		if e.node != "" {
			list[i].NodeName = &e.node
		}
	}
	return list
}
