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
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/config/samples"
)

const fieldOwner = client.FieldOwner("switchyard-demo")

// ApplySamples applies what kustomization.yaml lists, in its order, but Services
// that ask for NodePorts by number before all others: the cluster gives others any
// that is free, and it may be one of these.
func (b *Bed) ApplySamples(ctx context.Context) error {
	files, err := fs.Glob(samples.Files, "[0-9]*.yaml")
	if err != nil {
		return err
	}
	var all []*unstructured.Unstructured
	for _, file := range files { // the names sort in the order of the list
		objects, err := parse(file)
		if err != nil {
			return err
		}
		all = append(all, objects...)
	}
	slices.SortStableFunc(all, func(a, b *unstructured.Unstructured) int { return turn(a) - turn(b) })
	return b.applyAll(ctx, all)
}

// apply applies every object of one sample file.
func (b *Bed) apply(ctx context.Context, file string) error {
	objects, err := parse(file)
	if err != nil {
		return err
	}
	return b.applyAll(ctx, objects)
}

func (b *Bed) applyAll(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, o := range objects {
		err := b.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), fieldOwner, client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("applying %s %s: %w", strings.ToLower(o.GetKind()), o.GetName(), err)
		}
	}
	return nil
}

// turn is when an object is applied: what namespaces hold needs them.
func turn(o *unstructured.Unstructured) int {
	switch {
	case o.GetKind() == "Namespace":
		return 0
	case asksForNodePort(o):
		return 1
	}
	return 2
}

func asksForNodePort(o *unstructured.Unstructured) bool {
	ports, _, _ := unstructured.NestedSlice(o.Object, "spec", "ports")
	return o.GetKind() == "Service" && slices.ContainsFunc(ports, func(port any) bool {
		fields, _ := port.(map[string]any)
		return fields["nodePort"] != nil
	})
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
