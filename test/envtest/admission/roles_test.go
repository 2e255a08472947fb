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
	"context"
	"strings"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/internal/localcluster/manifests"
)

// installRoles creates what config/local says, except the webhooks and their
// Service, which envtest points at this process in its own way.
func installRoles() {
	for _, document := range strings.Split(manifests.Install, "\n---\n") {
		object := &unstructured.Unstructured{}
		Expect(yaml.Unmarshal([]byte(document), &object.Object)).To(Succeed())
		switch object.GetKind() {
		case "Service", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
			continue
		}
		Expect(client.IgnoreAlreadyExists(api.Create(context.Background(), object))).To(Succeed())
	}
}
