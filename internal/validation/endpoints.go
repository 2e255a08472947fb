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
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/operation"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateEndpoints is V30: what the server objects to when the Endpoints
// object is created.
func ValidateEndpoints(endpoints *corev1.Endpoints, opts Options) field.ErrorList {
	errs := validateMetadata(&endpoints.ObjectMeta, apivalidation.NameIsDNSSubdomain)
	errs = append(errs, validateSubsets(endpoints, opts)...)
	return merge(errs, declaredMetadata(operation.Create, nil, &endpoints.ObjectMeta))
}

// ValidateEndpointsUpdate is V30 on update: the metadata is looked at in both
// ways, and subsets that stay as they are may be wrong.
func ValidateEndpointsUpdate(before, after *corev1.Endpoints, opts Options) field.ErrorList {
	errs := validateMetadataUpdate(&before.ObjectMeta, &after.ObjectMeta)
	errs = append(errs, validateMetadata(&after.ObjectMeta, apivalidation.NameIsDNSSubdomain)...)
	// Comparing is dear, and most objects are right.
	if wrong := validateSubsets(after, opts); len(wrong) > 0 && !apiequality.Semantic.DeepEqual(before.Subsets, after.Subsets) {
		errs = append(errs, wrong...)
	}
	return merge(errs, declaredMetadata(operation.Update, &before.ObjectMeta, &after.ObjectMeta))
}

func validateSubsets(endpoints *corev1.Endpoints, opts Options) field.ErrorList {
	var errs field.ErrorList
	for i := range endpoints.Subsets {
		subset, path := &endpoints.Subsets[i], field.NewPath("subsets").Index(i)
		if len(subset.Addresses) == 0 && len(subset.NotReadyAddresses) == 0 {
			errs = append(errs, field.Required(path, "must specify `addresses` or `notReadyAddresses`"))
		}
		for j := range subset.Addresses {
			errs = append(errs, validateEndpointAddress(path.Child("addresses").Index(j), &subset.Addresses[j], opts)...)
		}
		for j := range subset.NotReadyAddresses {
			errs = append(errs, validateEndpointAddress(path.Child("notReadyAddresses").Index(j), &subset.NotReadyAddresses[j], opts)...)
		}
		for j := range subset.Ports {
			errs = append(errs, validateEndpointPort(path.Child("ports").Index(j), &subset.Ports[j], len(subset.Ports) > 1)...)
		}
	}
	return errs
}

// validateEndpointAddress says of what is no address that it is none twice, as
// the server does.
func validateEndpointAddress(path *field.Path, address *corev1.EndpointAddress, opts Options) field.ErrorList {
	errs := validateAddress(path.Child("ip"), address.IP, nil, opts)
	if address.Hostname != "" {
		errs = append(errs, invalid(path.Child("hostname"), address.Hostname, validation.IsDNS1123Label(address.Hostname))...)
	}
	errs = append(errs, validateNodeName(path.Child("nodeName"), address.NodeName)...)
	return append(errs, validateReserved(path.Child("ip"), address.IP)...)
}

func validateNodeName(path *field.Path, name *string) field.ErrorList {
	if name == nil {
		return nil
	}
	return invalid(path, *name, apivalidation.NameIsDNSSubdomain(*name, false))
}

func validateEndpointPort(path *field.Path, port *corev1.EndpointPort, named bool) field.ErrorList {
	errs := validatePortName(path.Child("name"), port.Name, named)
	errs = append(errs, invalid(path.Child("port"), port.Port, validation.IsValidPortNum(int(port.Port)))...)
	errs = append(errs, validateProtocol(path.Child("protocol"), port.Protocol)...)
	return append(errs, validateAppProtocol(path.Child("appProtocol"), port.AppProtocol)...)
}
