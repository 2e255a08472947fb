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

package balancer

import (
	"fmt"
	"maps"
	"slices"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// refuseSharing says why two Services can not have one address of a pool, in
// words for the first of them, or nothing. It is the same for both.
func refuseSharing(a, b *Service, sharing v1alpha1.AddressSharing) string {
	sameNamespace := a.Key.Namespace == b.Key.Namespace
	switch {
	case a.SharingKey == "" || a.SharingKey != b.SharingKey:
		return "has it, and shares it with nobody of this sharing key"
	case sharing == v1alpha1.SharingNever, sharing != v1alpha1.SharingCluster && !sameNamespace:
		return "has it, and its pool does not let the two share"
	case !sameNamespace && !(slices.Contains(a.SharesWith, b.Key.Namespace) && slices.Contains(b.SharesWith, a.Key.Namespace)):
		return fmt.Sprintf("has it, and not both name the other's namespace in the annotation %s", v1alpha1.SharingNamespacesAnnotation)
	case commonPort(a.Ports, b.Ports):
		return "has it, and a port of this Service"
	case a.Local && b.Local && !sameBackends(a, b):
		// A node announces the address to both or to none.
		return "has it, and both keep traffic on the node and have other endpoints"
	}
	return ""
}

// commonPort reports whether two sorted lists have a port in common.
func commonPort(a, b []Port) bool {
	for len(a) > 0 && len(b) > 0 {
		switch order := a[0].compare(b[0]); {
		case order == 0:
			return true
		case order < 0:
			a = a[1:]
		default:
			b = b[1:]
		}
	}
	return false
}

// sameBackends is true only where that is certain: without a selector, somebody
// else says what the endpoints are.
func sameBackends(a, b *Service) bool {
	return a.Key.Namespace == b.Key.Namespace && len(a.Selector) > 0 && maps.Equal(a.Selector, b.Selector)
}
