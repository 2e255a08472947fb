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

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fieldOwner is whom the API server names as the manager of what `switchyard
// up` installs.
const fieldOwner = client.FieldOwner("switchyard-up")

// installation is what the install manifests hold, in the order in which it
// is installed: while the API server knows of a webhook that nobody serves
// yet, it makes requests for Services and their endpoints wait or fail.
type installation struct {
	objects, webhooks []*unstructured.Unstructured
}

// parseManifests reads YAML documents.
func parseManifests(manifests string) (installation, error) {
	var parsed installation
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifests), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return parsed, nil
		}
		if err != nil {
			return installation{}, fmt.Errorf("reading the install manifests: %w", err)
		}
		switch object.GetKind() {
		case "":
			// nothing between two separators
		case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
			parsed.webhooks = append(parsed.webhooks, object)
		default:
			parsed.objects = append(parsed.objects, object)
		}
	}
}

// apply makes the cluster contain the objects. It is idempotent.
func apply(ctx context.Context, c client.Client, objects ...*unstructured.Unstructured) error {
	for _, object := range objects {
		what := fmt.Sprintf("%s %s", object.GetKind(), object.GetName())
		if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), fieldOwner, client.ForceOwnership); err != nil {
			return fmt.Errorf("installing %s: %w", what, err)
		}
	}
	return nil
}

// established waits until the API server serves the custom resources among the
// objects: whoever watches one before then is told that there is no such thing.
func established(ctx context.Context, c client.Client, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		if object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		now := object.DeepCopy()
		err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			if err := c.Get(ctx, client.ObjectKeyFromObject(object), now); err != nil {
				return false, err
			}
			return isEstablished(now), nil
		})
		if err != nil {
			return fmt.Errorf("waiting until %s is served: %w", object.GetName(), err)
		}
	}
	return nil
}

func isEstablished(crd *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(condition any) bool {
		fields, ok := condition.(map[string]any)
		return ok && fields["type"] == "Established" && fields["status"] == "True"
	})
}
