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

package webhooks

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The cache indexes behind World. They belong to the admission rules alone;
// the prefix keeps them apart from what controllers index.
const (
	indexFrontend  = "admission.frontend"
	indexClusterIP = "admission.clusterIP"
	indexSelector  = "admission.selector"
	indexPodLabel  = "admission.podLabel"
)

// SetupIndexes registers the indexes. It must be called before the manager
// starts, and whether or not certificates are there yet.
func SetupIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, index := range []struct {
		object client.Object
		name   string
		keys   client.IndexerFunc
	}{
		{&corev1.Service{}, indexFrontend, frontendKeys},
		{&corev1.Service{}, indexClusterIP, clusterIPKeys},
		{&corev1.Service{}, indexSelector, selectorKeys},
		{&corev1.Pod{}, indexPodLabel, podLabelKeys},
	} {
		if err := indexer.IndexField(ctx, index.object, index.name, index.keys); err != nil {
			return fmt.Errorf("registering index %s: %w", index.name, err)
		}
	}
	return nil
}

func frontendKeys(object client.Object) []string {
	var keys []string
	for frontend := range heldFrontends(object.(*corev1.Service)) {
		keys = append(keys, frontend.String())
	}
	return keys
}

func clusterIPKeys(object client.Object) []string {
	var keys []string
	for _, addr := range clusterAddrs(object.(*corev1.Service)) {
		keys = append(keys, addr.String())
	}
	return keys
}

func selectorKeys(object client.Object) []string {
	if svc := object.(*corev1.Service); selects(svc) {
		return []string{selectorKey(svc.Spec.Selector)}
	}
	return nil
}

// selectorKey is the same for equal selectors, whatever their order.
func selectorKey(selector map[string]string) string {
	return labels.Set(selector).String()
}

func podLabelKeys(object client.Object) []string {
	var keys []string
	for key, value := range object.GetLabels() {
		keys = append(keys, labelKey(key, value))
	}
	return keys
}

func labelKey(key, value string) string { return key + "=" + value }
