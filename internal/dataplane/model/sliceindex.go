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

import (
	"iter"
	"slices"
	"strings"
)

// sliceIndex holds all slices by their names, and those of each Service in the
// order of their names, whether or not the Service is there yet.
type sliceIndex struct {
	byName    map[sliceKey]*slice
	byService map[serviceKey][]*slice
}

type sliceKey struct{ namespace, name string }

func newSliceIndex() sliceIndex {
	return sliceIndex{map[sliceKey]*slice{}, map[serviceKey][]*slice{}}
}

func (x *sliceIndex) get(namespace, name string) *slice { return x.byName[sliceKey{namespace, name}] }

// of are the slices of one Service, sorted.
func (x *sliceIndex) of(key serviceKey) []*slice { return x.byService[key] }

func (x *sliceIndex) all() iter.Seq[*slice] {
	return func(yield func(*slice) bool) {
		for _, held := range x.byName {
			if !yield(held) {
				return
			}
		}
	}
}

// size is how many endpoints the slices of a Service list for any one of its
// ports, of both families and those listed twice included.
func (x *sliceIndex) size(key serviceKey) int {
	total := 0
	for _, held := range x.byService[key] {
		total += len(held.endpoints)
	}
	return total
}

// add takes a slice whose name is not held.
func (x *sliceIndex) add(added *slice) {
	x.byName[sliceKey{added.object.Namespace, added.object.Name}] = added
	at, _ := x.find(added)
	x.byService[added.service] = slices.Insert(x.byService[added.service], at, added)
}

func (x *sliceIndex) remove(held *slice) {
	delete(x.byName, sliceKey{held.object.Namespace, held.object.Name})
	at, _ := x.find(held)
	left := slices.Delete(x.byService[held.service], at, at+1)
	if x.byService[held.service] = left; len(left) == 0 {
		delete(x.byService, held.service)
	}
}

func (x *sliceIndex) find(held *slice) (at int, found bool) {
	return slices.BinarySearchFunc(x.byService[held.service], held, func(a, b *slice) int {
		return strings.Compare(a.object.Name, b.object.Name)
	})
}
