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
	"errors"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
)

// defaultServiceCIDR is the one the API server makes from its flags (KEP-1880).
const defaultServiceCIDR = "kubernetes"

// ObserveServiceCIDRs takes in all ServiceCIDR objects as they are now. A CIDR
// that no address can be given from is left out, as the API server does, which
// lets anybody create a /48; the error names each, the others are taken in.
func (s *Services) ObserveServiceCIDRs(objects []networkingv1.ServiceCIDR) error {
	var families []corev1.IPFamily
	var cidrs []ServiceCIDR
	var errs []error
	for i := range objects {
		prefixes, err := prefixesOf(&objects[i])
		errs = append(errs, err)
		for _, prefix := range prefixes {
			cidrs = append(cidrs, ServiceCIDR{Prefix: prefix, Ready: isReady(&objects[i])})
			if objects[i].Name == defaultServiceCIDR {
				families = append(families, familyOf(prefix.Addr()))
			}
		}
	}
	return errors.Join(append(errs, s.SetServiceCIDRs(families, cidrs))...)
}

// prefixesOf lists the CIDRs that addresses can be given from; the error is
// about the others.
func prefixesOf(object *networkingv1.ServiceCIDR) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	var errs []error
	for _, text := range object.Spec.CIDRs {
		prefix, err := netip.ParsePrefix(text)
		if err == nil {
			_, err = NewAddrs(prefix)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("reading ServiceCIDR %s: %w", object.Name, err))
			continue
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, errors.Join(errs...)
}

// isReady is false while the object is being removed (A20). A condition that has
// not been written yet is no reason to wait.
func isReady(object *networkingv1.ServiceCIDR) bool {
	return object.DeletionTimestamp.IsZero() &&
		!meta.IsStatusConditionFalse(object.Status.Conditions, networkingv1.ServiceCIDRConditionReady)
}
