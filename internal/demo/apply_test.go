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
	"io/fs"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/config/samples"
)

// Who applies the samples with kubectl gets them in the order of the list.
func TestNoSampleCanTakeTheNodePortOfAnother(t *testing.T) {
	text, err := samples.Files.ReadFile("kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		SortOptions struct{ Order string }
		Resources   []string
	}
	if err := yaml.UnmarshalStrict(text, &list); err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(samples.Files, "[0-9]*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(files, list.Resources); diff != "" || list.SortOptions.Order != "fifo" {
		t.Errorf("the order is %q of (-files +list):\n%s", list.SortOptions.Order, diff)
	}
	taken := ""
	for _, file := range list.Resources {
		objects, err := parse(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			kind, _, _ := unstructured.NestedString(o.Object, "spec", "type")
			switch {
			case asksForNodePort(o):
				if taken != "" {
					t.Errorf("%s asks for a NodePort that %s may have got", o.GetName(), taken)
				}
			case o.GetKind() == "Service" && slices.Contains([]string{"NodePort", "LoadBalancer"}, kind):
				taken = o.GetName()
			}
		}
	}
	if taken == "" {
		t.Error("no sample gets any NodePort")
	}
}

func asksForNodePort(o *unstructured.Unstructured) bool {
	ports, _, _ := unstructured.NestedSlice(o.Object, "spec", "ports")
	return o.GetKind() == "Service" && slices.ContainsFunc(ports, func(port any) bool {
		fields, _ := port.(map[string]any)
		return fields["nodePort"] != nil
	})
}
