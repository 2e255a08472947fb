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
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// fields are those of an object, as JSON has them.
type fields map[string]any

// Onto is what applying the object to the one before leaves: a field that the
// manifest does not have stays, unless it was applied before and is gone from
// the manifest now. Lists are taken whole.
func (o Object) Onto(before runtime.Object) (Object, error) {
	if before == nil || o.Object == nil {
		return o, nil
	}
	old, err := meta.Accessor(before)
	if err != nil {
		return o, err
	}
	var written fields
	if err := json.Unmarshal(o.text, &written); err != nil {
		return o, err
	}
	had, err := runtime.DefaultUnstructuredConverter.ToUnstructured(before)
	if err != nil {
		return o, err
	}
	applied := appliedTo(old, had)
	for key, value := range had {
		switch key {
		case "apiVersion", "kind", "status":
		case "metadata":
			keepMetadata(written.child(key), fields(value.(map[string]any)), applied.children(key))
		case "spec":
			keep(written.child(key), value.(map[string]any), applied.children(key))
		default:
			keep(written, fields{key: value}, applied)
		}
	}
	text, err := json.Marshal(written)
	if err != nil {
		return o, err
	}
	// What the decoder objected to has been said.
	merged := decode(o.Place, head{TypeMeta: metav1.TypeMeta{Kind: o.Kind}}, text)
	o.Object = merged.Object
	return o, nil
}

// child is made if it is not there.
func (f fields) child(key string) fields {
	child, is := f[key].(map[string]any)
	if !is {
		child = map[string]any{}
		f[key] = child
	}
	return child
}

func keep(written, had fields, applied manifests) {
	for key, value := range had {
		if _, there := written[key]; !there && !applied.have(key) {
			written[key] = value
		}
	}
}

// keepMetadata keeps what others have added beside the manifest's.
func keepMetadata(written, had fields, applied manifests) {
	for _, key := range []string{"labels", "annotations"} {
		if before, is := had[key].(map[string]any); is {
			keep(written.child(key), before, applied.children(key))
		}
	}
	keep(written, fields{"finalizers": had["finalizers"], "ownerReferences": had["ownerReferences"]}, nil)
}

// manifests are what was applied before, by one or several.
type manifests []fields

func (m manifests) have(key string) bool {
	for _, f := range m {
		if _, there := f[key]; there {
			return true
		}
	}
	return false
}

func (m manifests) children(key string) manifests {
	var children manifests
	for _, f := range m {
		if child, is := f[key].(map[string]any); is {
			children = append(children, child)
		}
	}
	return children
}

// appliedTo is what is known of that: kubectl keeps it in an annotation, and the
// server the names of the fields. An object that is in no cluster is itself what
// is to be applied first.
func appliedTo(before metav1.Object, had fields) manifests {
	if before.GetUID() == "" {
		return manifests{had}
	}
	var applied manifests
	var last fields
	if json.Unmarshal([]byte(before.GetAnnotations()[corev1.LastAppliedConfigAnnotation]), &last) == nil {
		applied = append(applied, last)
	}
	for _, entry := range before.GetManagedFields() {
		var owned fields
		if entry.Operation != metav1.ManagedFieldsOperationApply || entry.FieldsV1 == nil || json.Unmarshal(entry.FieldsV1.Raw, &owned) != nil {
			continue
		}
		applied = append(applied, named(owned))
	}
	return applied
}

// named takes the marks off the names of fields.
func named(owned fields) fields {
	out := fields{}
	for key, value := range owned {
		if child, is := value.(map[string]any); is {
			value = map[string]any(named(child))
		}
		out[strings.TrimPrefix(key, "f:")] = value
	}
	return out
}
