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

package lint

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"

	"switchyard.dev/switchyard/internal/validation"
)

// Earlier are the objects of manifests as they were before.
type Earlier map[identity]runtime.Object

// identity is what makes two manifests ones of the same object.
type identity struct{ kind, namespace, name string }

// identity is that of an object; without a namespace it is in the one given.
func (o Object) identity(namespace string) identity {
	return identity{o.Kind, cmp.Or(o.Namespace, namespace), o.Name}
}

// NewEarlier files the objects that can be decoded, with their defaults, as a
// server has them. Of several with one name the last one counts.
func NewEarlier(objects []Object, namespace string) Earlier {
	earlier := Earlier{}
	for _, o := range objects {
		_, complete := o.FindUpdate(nil, validation.Options{})
		if svc, is := complete.(*corev1.Service); is {
			svc.Status = *o.Object.(*corev1.Service).Status.DeepCopy() // which a creation leaves out
		}
		object, err := meta.Accessor(complete)
		if err != nil {
			continue
		}
		// All that is in a cluster has one.
		object.SetResourceVersion(cmp.Or(object.GetResourceVersion(), "0"))
		earlier[o.identity(namespace)] = complete
	}
	return earlier
}

// Before is the object as it was, or nil for one that was not there.
func (e Earlier) Before(o Object, namespace string) runtime.Object {
	return e[o.identity(namespace)]
}
