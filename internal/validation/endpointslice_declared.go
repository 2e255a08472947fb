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

package validation

import (
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// markDeclared marks what the type's declared rules say too.
func markDeclared(errs field.ErrorList) field.ErrorList {
	for _, err := range errs {
		_ = err.MarkCoveredByDeclarative()
	}
	return errs
}

// declaredSlice are the rules that the Go type of an EndpointSlice declares.
// They look at what changed alone, and at every endpoint however many there are.
func declaredSlice(before, after *discoveryv1.EndpointSlice) field.ErrorList {
	var errs field.ErrorList
	if before == nil {
		errs = validateAddressType(after.AddressType)
	} else if before.AddressType != after.AddressType {
		if after.AddressType == "" {
			errs = append(errs, field.Required(addressTypePath, ""))
		}
		errs = append(errs, field.Invalid(addressTypePath, nil, "field is immutable").WithOrigin("immutable"))
	}
	if before == nil || !apiequality.Semantic.DeepEqual(before.Endpoints, after.Endpoints) {
		for i := range after.Endpoints {
			errs = append(errs, validateAddressCount(endpointsPath.Index(i).Child("addresses"), after.Endpoints[i].Addresses)...)
		}
	}
	for _, err := range errs {
		_ = err.MarkBeta()
	}
	return errs
}
