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

package allocator

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
)

// defaultServiceCIDR is the one the API server makes from its flags (KEP-1880).
const defaultServiceCIDR = "kubernetes"

// ObserveServiceCIDRs takes in all ServiceCIDR objects as they are now.
func (s *Services) ObserveServiceCIDRs(objects []networkingv1.ServiceCIDR) error {
	var families []corev1.IPFamily
	var cidrs []ServiceCIDR
	for i := range objects {
		prefixes, err := prefixesOf(&objects[i])
		if err != nil {
			return err
		}
		for _, prefix := range prefixes {
			cidrs = append(cidrs, ServiceCIDR{Prefix: prefix, Ready: isReady(&objects[i])})
			if objects[i].Name == defaultServiceCIDR {
				families = append(families, familyOf(prefix.Addr()))
			}
		}
	}
	return s.SetServiceCIDRs(families, cidrs)
}

func prefixesOf(object *networkingv1.ServiceCIDR) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range object.Spec.CIDRs {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("reading ServiceCIDR %s: %w", object.Name, err)
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}

// isReady is false while the object is being removed (A20). A condition that has
// not been written yet is no reason to wait.
func isReady(object *networkingv1.ServiceCIDR) bool {
	return object.DeletionTimestamp.IsZero() &&
		!meta.IsStatusConditionFalse(object.Status.Conditions, networkingv1.ServiceCIDRConditionReady)
}
