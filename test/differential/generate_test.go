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

package differential

import (
	"math"
	"math/rand/v2"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// chooser makes the decisions of the generator: a seeded generator of random
// numbers in the tests, the fuzzer's bytes in the fuzz targets.
type chooser interface {
	// IntN is below n, which is above 0.
	IntN(n int) int
}

// script is a chooser that is told what to choose, and then chooses 0.
type script []byte

func (s *script) IntN(n int) int {
	if len(*s) == 0 {
		return 0
	}
	next := int((*s)[0])
	*s = (*s)[1:]
	return next % n
}

func seeded(seed uint64) chooser { return rand.New(rand.NewPCG(seed, 0)) }

func pick[T any](c chooser, values []T) T { return values[c.IntN(len(values))] }

// maybe is a pointer to one of the values, and sometimes nil.
func maybe[T any](c chooser, values []T) *T {
	if c.IntN(4) == 0 {
		return nil
	}
	value := pick(c, values)
	return &value
}

// some is a short list, at times nil or longer than it may be.
func some[T any](c chooser, values []T) []T {
	var list []T
	for range c.IntN(4) {
		list = append(list, pick(c, values))
	}
	return list
}

// change is one thing to do to an object of type T.
type change[T any] func(c chooser, object T)

// mutate does up to four things to an object, often just one: several errors at
// once must not hide each other, but each has to be met alone too.
func mutate[T any](c chooser, object T, changes []change[T]) {
	for range 1 + c.IntN(2)*c.IntN(4) {
		pick(c, changes)(c, object)
	}
}

func labels(c chooser) map[string]string {
	out := map[string]string{}
	for range c.IntN(3) {
		out[pick(c, labelKeys)] = pick(c, labelValues)
	}
	return out
}

// metadataChanges are for every kind of object.
func metadataChanges() []change[*metav1.ObjectMeta] {
	return []change[*metav1.ObjectMeta]{
		func(c chooser, m *metav1.ObjectMeta) { m.Name = pick(c, names) },
		func(c chooser, m *metav1.ObjectMeta) { m.GenerateName = pick(c, names) },
		func(c chooser, m *metav1.ObjectMeta) { m.Namespace = pick(c, names) },
		func(c chooser, m *metav1.ObjectMeta) { m.Labels = labels(c) },
		func(c chooser, m *metav1.ObjectMeta) { m.Annotations = labels(c) },
		func(c chooser, m *metav1.ObjectMeta) { m.Finalizers = some(c, finalizers) },
		func(c chooser, m *metav1.ObjectMeta) { m.Generation = pick(c, []int64{0, 1, -1, math.MaxInt64}) },
		func(c chooser, m *metav1.ObjectMeta) { m.ResourceVersion = pick(c, []string{"", "1"}) },
		func(c chooser, m *metav1.ObjectMeta) { m.UID = pick(c, []types.UID{"", "u", "v"}) },
		func(c chooser, m *metav1.ObjectMeta) {
			m.DeletionTimestamp = maybe(c, []metav1.Time{metav1.Unix(1, 0), metav1.Unix(2, 0)})
		},
		func(c chooser, m *metav1.ObjectMeta) {
			m.OwnerReferences = some(c, []metav1.OwnerReference{
				{APIVersion: "v1", Kind: "Pod", Name: "p", UID: "u", Controller: new(true)},
				{APIVersion: "v1", Kind: "Event", Name: "e", UID: "u"},
				{APIVersion: "a/b/c"}, {},
			})
		},
		func(c chooser, m *metav1.ObjectMeta) {
			m.ManagedFields = some(c, []metav1.ManagedFieldsEntry{
				{Operation: metav1.ManagedFieldsOperationApply, FieldsType: "FieldsV1"},
				{Operation: "Guess", FieldsType: "FieldsV2"},
			})
		},
	}
}

// withMetadata adds them to the changes of a kind.
func withMetadata[T metav1.ObjectMetaAccessor](changes []change[T], meta func(T) *metav1.ObjectMeta) []change[T] {
	for _, of := range metadataChanges() {
		changes = append(changes, func(c chooser, object T) { of(c, meta(object)) })
	}
	return changes
}
