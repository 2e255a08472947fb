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

package follow

import (
	"fmt"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// sink takes the objects of one resource from a Reflector and passes each on at
// once. It keeps their names only.
//
// While the API server streams what exists, the Reflector gathers it until the
// end, to hand it over in one piece. The sink's transformer passes each object
// on as it arrives and leaves a name in its place, which is all that Replace
// needs to find out what is gone.
type sink[T any] struct {
	set    func(*T)
	remove func(namespace, name string)
	names  map[cache.ObjectName]struct{}
	// full says that everything there was at first has been passed on.
	full atomic.Bool
}

// newSink passes objects that are as they are now to set, and the names of
// those that are gone to remove.
func newSink[T any](set func(*T), remove func(namespace, name string)) *sink[T] {
	return &sink[T]{set: set, remove: remove, names: map[cache.ObjectName]struct{}{}}
}

// take passes on an object, unless it is only its name, which was passed on
// before.
func (s *sink[T]) take(object any) (cache.ObjectName, error) {
	switch o := object.(type) {
	case cache.ObjectName:
		return o, nil
	case *T:
		meta, ok := object.(metav1.Object)
		if !ok {
			break
		}
		name := cache.MetaObjectToName(meta)
		s.names[name] = struct{}{}
		s.set(o)
		return name, nil
	}
	return cache.ObjectName{}, fmt.Errorf("watching the API: %T is not what was asked for", object)
}

// Add is part of cache.ReflectorStore.
func (s *sink[T]) Add(object any) error {
	_, err := s.take(object)
	return err
}

// Update is part of cache.ReflectorStore.
func (s *sink[T]) Update(object any) error { return s.Add(object) }

// Delete is part of cache.ReflectorStore.
func (s *sink[T]) Delete(object any) error {
	key, err := cache.DeletionHandlingObjectToName(object)
	if err != nil {
		return fmt.Errorf("watching the API: %w", err)
	}
	delete(s.names, key)
	s.remove(key.Namespace, key.Name)
	return nil
}

// Replace is part of cache.ReflectorStore: list is all that exists.
func (s *sink[T]) Replace(list []any, _ string) error {
	now := make(map[cache.ObjectName]struct{}, len(list))
	for _, object := range list {
		name, err := s.take(object)
		if err != nil {
			return err
		}
		now[name] = struct{}{}
	}
	for name := range s.names {
		if _, exists := now[name]; !exists {
			s.remove(name.Namespace, name.Name)
		}
	}
	s.names = now
	s.full.Store(true)
	return nil
}

// Resync is part of cache.ReflectorStore. There is nothing to repeat: what was
// passed on is kept elsewhere.
func (*sink[T]) Resync() error { return nil }

// Transformer is part of cache.TransformingStore.
func (s *sink[T]) Transformer() cache.TransformFunc {
	return func(object any) (any, error) { return s.take(object) }
}
