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

package records

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/discovery"
)

// Read makes the answer for a Service of a cluster. Slices that may not be read
// are missing, and named.
func Read(ctx context.Context, reader client.Reader, service types.NamespacedName, o discovery.Options) (*Answer, error) {
	var svc corev1.Service
	if err := reader.Get(ctx, service, &svc); err != nil {
		return nil, err
	}
	var list discoveryv1.EndpointSliceList
	err := reader.List(ctx, &list, client.InNamespace(service.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: service.Name})
	if err != nil && !apierrors.IsForbidden(err) {
		return nil, err
	}
	eps := make([]*discoveryv1.EndpointSlice, len(list.Items))
	for i := range list.Items {
		eps[i] = &list.Items[i]
	}
	a := List(&svc, eps, o)
	if err != nil {
		a.NotRead = append(a.NotRead, fmt.Sprintf("you may not list EndpointSlices in %s, so the names of endpoints are not known", service.Namespace))
		if svc.Spec.ClusterIP == corev1.ClusterIPNone {
			a.Hints = nil // they are about what was not read
		}
	}
	return a, nil
}
