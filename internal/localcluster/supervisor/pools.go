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

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/localcluster/layout"
)

// loadBalancerPool is the AddressPool of a new cluster.
const loadBalancerPool = "local"

// installPool lets Services of type LoadBalancer have addresses of the nodes' network.
func (s *Supervisor) installPool(ctx context.Context) error {
	var ranges []any
	for _, text := range layout.LoadBalancerRanges() {
		ranges = append(ranges, text)
	}
	return apply(ctx, s.client, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       "AddressPool",
		"metadata":   map[string]any{"name": loadBalancerPool},
		"spec":       map[string]any{"use": string(v1alpha1.UseLoadBalancer), "addresses": ranges},
	}})
}
