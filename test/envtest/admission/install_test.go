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

package admission

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/test/testenv"
)

var _ = Describe("The install tree", func() {
	It("is accepted by an API server that takes every field seriously", func() {
		render := exec.Command("go", "tool", "kustomize", "build", filepath.Join("config", "default"))
		render.Dir = testenv.Root()
		rendered, err := render.Output()
		Expect(err).NotTo(HaveOccurred())

		kinds := map[string]int{}
		for document := range bytes.SplitSeq(rendered, []byte("\n---\n")) {
			object := &unstructured.Unstructured{}
			Expect(yaml.Unmarshal(document, &object.Object)).To(Succeed())
			kinds[object.GetKind()]++
			err := api.Create(context.Background(), object, client.DryRunAll, client.FieldValidation("Strict"))
			Expect(client.IgnoreAlreadyExists(err)).To(Succeed(), "%s %s", object.GetKind(), object.GetName())
		}
		Expect(kinds).To(And(HaveKeyWithValue("Deployment", 1), HaveKeyWithValue("DaemonSet", 1), HaveKeyWithValue("ServiceAccount", 2)))
	})
})
