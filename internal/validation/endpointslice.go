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
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/operation"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

// The server's limits of an EndpointSlice, KEP-0752.
const (
	maxEndpoints      = 1000
	maxAddresses      = 100
	maxSlicePorts     = 20000
	maxHints          = 8
	maxTopologyLabels = 16
)

var (
	addressTypePath = field.NewPath("addressType")
	endpointsPath   = field.NewPath("endpoints")
)

// ValidateEndpointSlice is V31: what the server objects to when the
// EndpointSlice is created.
func ValidateEndpointSlice(slice *discoveryv1.EndpointSlice, opts Options) field.ErrorList {
	errs := validateSliceHead(slice)
	errs = append(errs, validateSliceEndpoints(slice, opts)...)
	declared := declaredMetadata(operation.Create, nil, &slice.ObjectMeta)
	declared = append(declared, declaredSlice(nil, slice)...)
	return merge(errs, declared)
}

// ValidateEndpointSliceUpdate is V31 on update: endpoints that stay as they are
// may be wrong, and the address type stays.
func ValidateEndpointSliceUpdate(before, after *discoveryv1.EndpointSlice, opts Options) field.ErrorList {
	errs := validateSliceHead(after)
	// Comparing is dear, and most objects are right.
	if wrong := validateSliceEndpoints(after, opts); len(wrong) > 0 && !apiequality.Semantic.DeepEqual(before.Endpoints, after.Endpoints) {
		errs = append(errs, wrong...)
	}
	if before.AddressType != after.AddressType {
		errs = append(errs, field.Invalid(addressTypePath, after.AddressType, "field is immutable").WithOrigin("immutable").MarkCoveredByDeclarative())
	}
	declared := declaredMetadata(operation.Update, &before.ObjectMeta, &after.ObjectMeta)
	declared = append(declared, declaredSlice(before, after)...)
	return merge(errs, declared)
}

func validateSliceHead(slice *discoveryv1.EndpointSlice) field.ErrorList {
	errs := validateMetadata(&slice.ObjectMeta, apivalidation.NameIsDNSSubdomain)
	errs = append(errs, markDeclared(validateAddressType(slice.AddressType))...)
	return append(errs, validateSlicePorts(slice.Ports)...)
}

func validateAddressType(addressType discoveryv1.AddressType) field.ErrorList {
	return oneOf(addressTypePath, addressType, discoveryv1.AddressTypeFQDN, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6)
}

func validateSlicePorts(ports []discoveryv1.EndpointPort) field.ErrorList {
	path := field.NewPath("ports")
	if len(ports) > maxSlicePorts {
		return field.ErrorList{field.TooMany(path, len(ports), maxSlicePorts)}
	}
	var errs field.ErrorList
	names := sets.New[string]()
	for i, port := range ports {
		path, name := path.Index(i), ""
		if port.Name != nil {
			name = *port.Name
		}
		errs = append(errs, validatePortName(path.Child("name"), name, false)...)
		if names.Has(name) {
			errs = append(errs, field.Duplicate(path.Child("name"), name))
		}
		names.Insert(name)
		if port.Protocol == nil {
			errs = append(errs, field.Required(path.Child("protocol"), ""))
		} else {
			errs = append(errs, supported(path.Child("protocol"), *port.Protocol, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)...)
		}
		errs = append(errs, validateAppProtocol(path.Child("appProtocol"), port.AppProtocol)...)
	}
	return errs
}

func validateSliceEndpoints(slice *discoveryv1.EndpointSlice, opts Options) field.ErrorList {
	if len(slice.Endpoints) > maxEndpoints {
		return field.ErrorList{field.TooMany(endpointsPath, len(slice.Endpoints), maxEndpoints)}
	}
	var errs field.ErrorList
	for i := range slice.Endpoints {
		endpoint, path := &slice.Endpoints[i], endpointsPath.Index(i)
		errs = append(errs, markDeclared(validateAddressCount(path.Child("addresses"), endpoint.Addresses))...)
		for j, address := range endpoint.Addresses {
			errs = append(errs, validateSliceAddress(path.Child("addresses"), j, address, slice.AddressType, opts)...)
		}
		errs = append(errs, validateNodeName(path.Child("nodeName"), endpoint.NodeName)...)
		errs = append(errs, validateTopology(path.Child("deprecatedTopology"), endpoint.DeprecatedTopology)...)
		if endpoint.Hostname != nil {
			errs = append(errs, invalid(path.Child("hostname"), *endpoint.Hostname, validation.IsDNS1123Label(*endpoint.Hostname))...)
		}
		if endpoint.Hints != nil {
			errs = append(errs, validateHints(path.Child("hints"), endpoint.Hints)...)
		}
	}
	return errs
}

func validateAddressCount(path *field.Path, addresses []string) field.ErrorList {
	switch {
	case len(addresses) == 0:
		return field.ErrorList{field.Required(path, "")}
	case len(addresses) > maxAddresses:
		return field.ErrorList{field.TooMany(path, len(addresses), maxAddresses).WithOrigin("maxItems")}
	}
	return nil
}

// validateSliceAddress takes the path of the list: it is what the server names
// when the family is wrong. New as the type is, IPv6 has to be in canonical form.
func validateSliceAddress(path *field.Path, i int, address string, addressType discoveryv1.AddressType, opts Options) field.ErrorList {
	var malformed field.ErrorList
	ofFamily := netutils.IsIPv6String
	switch addressType {
	case discoveryv1.AddressTypeIPv4:
		malformed, ofFamily = validateAddress(path.Index(i), address, nil, opts), netutils.IsIPv4String
	case discoveryv1.AddressTypeIPv6:
		malformed = validation.IsValidIP(path.Index(i), address)
	case discoveryv1.AddressTypeFQDN:
		return validation.IsFullyQualifiedDomainName(path.Index(i), address)
	default:
		return nil
	}
	if len(malformed) > 0 {
		return malformed
	}
	var errs field.ErrorList
	if !ofFamily(address) {
		errs = append(errs, field.Invalid(path, address, fmt.Sprintf("must be an %s address", addressType)))
	}
	return append(errs, validateReserved(path.Index(i), address)...)
}

func validateTopology(path *field.Path, topology map[string]string) field.ErrorList {
	var errs field.ErrorList
	if len(topology) > maxTopologyLabels {
		errs = append(errs, field.TooMany(path, len(topology), maxTopologyLabels))
	}
	errs = append(errs, metavalidation.ValidateLabels(topology, path)...)
	if _, reserved := topology[corev1.LabelTopologyZone]; reserved {
		errs = append(errs, field.InternalError(path.Key(corev1.LabelTopologyZone), fmt.Errorf("reserved key was not removed in conversion")))
	}
	return errs
}

func validateHints(path *field.Path, hints *discoveryv1.EndpointHints) field.ErrorList {
	zones, nodes := path.Child("forZones"), path.Child("forNodes")
	if len(hints.ForZones) > maxHints {
		return field.ErrorList{field.TooMany(zones, len(hints.ForZones), maxHints)}
	}
	var errs field.ErrorList
	for i, zone := range hints.ForZones {
		if slices.Contains(hints.ForZones[:i], zone) {
			errs = append(errs, field.Duplicate(zones.Index(i).Child("name"), zone.Name))
		}
		errs = append(errs, invalid(zones.Index(i).Child("name"), zone.Name, validation.IsValidLabelValue(zone.Name))...)
	}
	if len(hints.ForNodes) > maxHints {
		return append(errs, field.TooMany(nodes, len(hints.ForNodes), maxHints))
	}
	for i, node := range hints.ForNodes {
		if slices.Contains(hints.ForNodes[:i], node) {
			errs = append(errs, field.Duplicate(nodes.Index(i).Child("name"), node.Name))
		}
		errs = append(errs, validateNodeName(nodes.Index(i).Child("name"), &node.Name)...)
	}
	return errs
}
