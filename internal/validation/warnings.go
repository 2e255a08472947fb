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

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

// Warning is one thing that the server warns about while it accepts the object.
type Warning struct {
	// Path is the field that it is about.
	Path *field.Path
	// Text is all that the server says, which may or may not begin with a path.
	Text string
}

// ServiceWarnings is V22.
func ServiceWarnings(svc *corev1.Service) []Warning {
	var warnings []Warning
	warn := func(path *field.Path, format string, args ...any) {
		warnings = append(warnings, Warning{path, fmt.Sprintf(format, args...)})
	}
	spec := &svc.Spec
	if _, deprecated := svc.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]; deprecated {
		warn(metadataPath.Child("annotations").Key(corev1.DeprecatedAnnotationTopologyAwareHints), "annotation %s is deprecated, please use %s instead",
			corev1.DeprecatedAnnotationTopologyAwareHints, corev1.AnnotationTopologyMode)
	}
	if spec.ClusterIP != "" && spec.ClusterIP != corev1.ClusterIPNone {
		warnings = append(warnings, addressWarnings(clusterIPsPath, spec.ClusterIPs)...)
	}
	headless := spec.Type == corev1.ServiceTypeClusterIP && spec.ClusterIP == corev1.ClusterIPNone
	if headless {
		const ignored = "%s is ignored for headless services"
		if spec.LoadBalancerIP != "" {
			warn(specPath.Child("loadBalancerIP"), ignored, "spec.loadBalancerIP")
		}
		if len(spec.ExternalIPs) > 0 {
			warn(specPath.Child("externalIPs"), ignored, "spec.externalIPs")
		}
		if spec.SessionAffinity != corev1.ServiceAffinityNone {
			warn(specPath.Child("sessionAffinity"), ignored, "spec.SessionAffinity")
		}
	}
	warnings = append(warnings, addressWarnings(specPath.Child("externalIPs"), spec.ExternalIPs)...)
	if len(spec.ExternalIPs) > 0 && !headless && spec.Type != corev1.ServiceTypeExternalName {
		warn(specPath.Child("externalIPs"), "spec.externalIPs is deprecated and may no longer be implemented in some clusters")
	}
	if spec.LoadBalancerIP != "" {
		warnings = append(warnings, addressWarning(specPath.Child("loadBalancerIP"), spec.LoadBalancerIP)...)
	}
	warnings = append(warnings, cidrWarnings(specPath.Child("loadBalancerSourceRanges"), spec.LoadBalancerSourceRanges)...)
	if spec.Type == corev1.ServiceTypeExternalName && len(spec.ExternalIPs) > 0 {
		warn(specPath.Child("externalIPs"), "spec.externalIPs is ignored when spec.type is %q", spec.Type)
	}
	if spec.Type != corev1.ServiceTypeExternalName && spec.ExternalName != "" {
		warn(specPath.Child("externalName"), "spec.externalName is ignored when spec.type is not %q", corev1.ServiceTypeExternalName)
	}
	if spec.TrafficDistribution != nil && *spec.TrafficDistribution == corev1.ServiceTrafficDistributionPreferClose {
		warn(specPath.Child("trafficDistribution"), "spec.trafficDistribution: %q is deprecated; use %q",
			corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone)
	}
	return warnings
}

// EndpointsWarnings leaves out what the endpoints controller wrote, as the
// server does.
func EndpointsWarnings(endpoints *corev1.Endpoints) []Warning {
	if endpoints.Labels[endpointsManagedBy] == "endpoint-controller" {
		return nil
	}
	var warnings []Warning
	for i, subset := range endpoints.Subsets {
		path := field.NewPath("subsets").Index(i)
		for j, address := range subset.Addresses {
			warnings = append(warnings, addressWarning(path.Child("addresses").Index(j).Child("ip"), address.IP)...)
		}
		for j, address := range subset.NotReadyAddresses {
			warnings = append(warnings, addressWarning(path.Child("notReadyAddresses").Index(j).Child("ip"), address.IP)...)
		}
	}
	return warnings
}

// endpointsManagedBy is the label of the endpoints controller's objects.
const endpointsManagedBy = "endpoints.kubernetes.io/managed-by"

// EndpointSliceWarnings leaves out what Kubernetes' controllers wrote likewise.
func EndpointSliceWarnings(slice *discoveryv1.EndpointSlice) []Warning {
	var warnings []Warning
	if slice.AddressType == discoveryv1.AddressTypeFQDN {
		// The field has no spec in its path, but the server's text has.
		warnings = append(warnings, Warning{addressTypePath, "spec.addressType: FQDN endpoints are deprecated"})
	}
	switch slice.Labels[discoveryv1.LabelManagedBy] {
	case "endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io":
		return warnings
	}
	for i := range slice.Endpoints {
		warnings = append(warnings, addressWarnings(endpointsPath.Index(i).Child("addresses"), slice.Endpoints[i].Addresses)...)
	}
	return warnings
}

func addressWarnings(path *field.Path, values []string) []Warning {
	var warnings []Warning
	for i, value := range values {
		warnings = append(warnings, addressWarning(path.Index(i), value)...)
	}
	return warnings
}

// addressWarning is silent on what is no address: the library would log it.
func addressWarning(path *field.Path, value string) []Warning {
	if netutils.ParseIPSloppy(value) == nil {
		return nil
	}
	return warningsAt(path, validation.GetWarningsForIP(path, value))
}

func cidrWarnings(path *field.Path, values []string) []Warning {
	var warnings []Warning
	for i, value := range values {
		if _, _, err := netutils.ParseCIDRSloppy(value); err == nil {
			warnings = append(warnings, warningsAt(path.Index(i), validation.GetWarningsForCIDR(path.Index(i), value))...)
		}
	}
	return warnings
}

func warningsAt(path *field.Path, texts []string) []Warning {
	var warnings []Warning
	for _, text := range texts {
		warnings = append(warnings, Warning{path, text})
	}
	return warnings
}
