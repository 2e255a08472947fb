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

package render

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Decoder collects objects from streams of manifests.
type Decoder struct {
	Objects Objects
	// Warnings are what is not read: other kinds of objects, unknown fields.
	Warnings []string

	scheme  *runtime.Scheme
	decoder runtime.Decoder
}

// NewDecoder is a Decoder that has read nothing.
func NewDecoder() *Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, networkingv1.AddToScheme} {
		utilruntime.Must(add(scheme))
	}
	return &Decoder{
		scheme: scheme,
		decoder: json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme,
			json.SerializerOptions{Yaml: true, Strict: true}),
	}
}

// Read takes all documents of a stream, YAML or JSON; name is what errors call
// it. Errors are joined: one document does not hide the others.
func (d *Decoder) Read(name string, from io.Reader) error {
	documents := yaml.NewYAMLReader(bufio.NewReader(from))
	var errs []error
	for n := 1; ; n++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return errors.Join(errs...)
		}
		where := fmt.Sprintf("%s, document %d", name, n)
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("reading %s: %w", where, err))...)
		}
		if err := d.document(where, document); err != nil {
			errs = append(errs, err)
		}
	}
}

func (d *Decoder) document(where string, document []byte) error {
	if empty, err := isEmpty(document); empty || err != nil {
		return wrap(where, err)
	}
	object, kind, err := d.decoder.Decode(document, nil, nil)
	switch {
	case runtime.IsStrictDecodingError(err):
		d.warn(where, err.Error())
	case runtime.IsNotRegisteredError(err):
		d.warn(where, kind.Kind+" of "+kind.GroupVersion().String()+" has no part in the table and is not read")
		return nil
	case runtime.IsMissingKind(err) || runtime.IsMissingVersion(err):
		return fmt.Errorf("%s: it needs an apiVersion and a kind, as in \"apiVersion: v1\" and \"kind: Service\"", where)
	case err != nil:
		return wrap(where, err)
	}
	if meta.IsListType(object) {
		return d.list(where, object)
	}
	if !d.Objects.add(object) {
		d.warn(where, kind.Kind+" has no part in the table and is not read")
	}
	return nil
}

// list reads each item of a list, typed or not.
func (d *Decoder) list(where string, list runtime.Object) error {
	items, err := meta.ExtractList(list)
	if err != nil {
		return wrap(where, err)
	}
	var errs []error
	for i, item := range items {
		at := fmt.Sprintf("%s, items[%d]", where, i)
		if raw, ok := item.(*runtime.Unknown); ok {
			errs = append(errs, d.document(at, raw.Raw))
		} else if !d.Objects.add(item) {
			d.warn(at, "it has no part in the table and is not read")
		}
	}
	return errors.Join(errs...)
}

func (d *Decoder) warn(where, what string) { d.Warnings = append(d.Warnings, where+": "+what) }

func wrap(where string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", where, err)
}

// isEmpty is true for a document of nothing but comments.
func isEmpty(document []byte) (bool, error) {
	content, err := yaml.ToJSON(document)
	return string(content) == "null", err
}
