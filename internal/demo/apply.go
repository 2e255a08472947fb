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

package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/config/samples"
)

const fieldOwner = client.FieldOwner("switchyard-demo")

// ApplySamples applies what kustomization.yaml lists, in its order.
func (b *Bed) ApplySamples(ctx context.Context) error {
	files, err := fs.Glob(samples.Files, "[0-9]*.yaml")
	if err != nil {
		return err
	}
	for _, file := range files { // the names sort in the order of the list
		if err := b.apply(ctx, file); err != nil {
			return err
		}
	}
	return nil
}

// apply applies every object of one sample file.
func (b *Bed) apply(ctx context.Context, file string) error {
	objects, err := parse(file)
	if err != nil {
		return err
	}
	for _, o := range objects {
		err := b.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), fieldOwner, client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("applying %s %s: %w", strings.ToLower(o.GetKind()), o.GetName(), err)
		}
	}
	return nil
}

func parse(file string) ([]*unstructured.Unstructured, error) {
	text, err := samples.Files.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		switch {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", file, err)
		case len(o.Object) > 0:
			objects = append(objects, o)
		}
	}
}
