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

package model

import (
	"bytes"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// ingressField is how the list of a load balancer's addresses is called among
// managed fields. It has one value and who last changed that owns it.
var ingressField = []byte(`"f:ingress":`)

// pooled says whether the load balancer's addresses in svc's status, as they are
// now, were given from an AddressPool. That is asked of whose they are and not of
// the condition beside them: where another controller writes the same status,
// its addresses may be those of the nodes themselves, and stand beside a condition
// of ours.
func pooled(svc *corev1.Service) bool {
	for i := range svc.ManagedFields {
		entry := &svc.ManagedFields[i]
		if entry.Manager == v1alpha1.LoadBalancerFieldManager && entry.Operation == metav1.ManagedFieldsOperationApply &&
			entry.Subresource == "status" && entry.FieldsV1 != nil && bytes.Contains(entry.FieldsV1.Raw, ingressField) {
			return true
		}
	}
	return false
}
