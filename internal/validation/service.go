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
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/operation"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var specPath = field.NewPath("spec")

// onlyLoadBalancer is the server's message for every field of that type.
const onlyLoadBalancer = "may only be used when `type` is 'LoadBalancer'"

// ValidateService is what the server objects to when the Service is created.
func ValidateService(svc *corev1.Service, opts Options) field.ErrorList {
	name := apivalidation.NameIsDNSLabel
	if opts.LegacyNames {
		name = apivalidation.NameIsDNS1035Label
	}
	errs := validateMetadata(&svc.ObjectMeta, name)
	errs = append(errs, validateService(nil, svc, opts)...)
	return merge(errs, declaredMetadata(operation.Create, nil, &svc.ObjectMeta))
}

// ValidateServiceUpdate is what the server objects to when the Service before
// becomes the one after. What the server itself changes first (it drops fields
// that a new type has no use for) must have been changed.
func ValidateServiceUpdate(before, after *corev1.Service, opts Options) field.ErrorList {
	errs := validateMetadataUpdate(&before.ObjectMeta, &after.ObjectMeta)
	errs = append(errs, validateClusterIPsUpdate(before, after)...)
	errs = append(errs, validateIPFamiliesUpdate(before, after)...)
	errs = append(errs, validateLoadBalancerClassUpdate(before, after)...)
	errs = append(errs, validateHealthCheckNodePortUpdate(before, after)...)
	errs = append(errs, validateService(before, after, opts)...)
	return merge(errs, declaredMetadata(operation.Update, &before.ObjectMeta, &after.ObjectMeta))
}

// validateService are the rules of create and update. Values that an invalid
// Service has had before stay accepted in some fields; before is nil on create.
func validateService(before, svc *corev1.Service, opts Options) field.ErrorList {
	errs := validateTopologyAnnotations(svc)
	errs = append(errs, validateType(svc)...)
	errs = append(errs, validatePorts(svc)...)
	if svc.Spec.Selector != nil {
		errs = append(errs, metavalidation.ValidateLabels(svc.Spec.Selector, specPath.Child("selector"))...)
	}
	errs = append(errs, validateSessionAffinity(svc)...)
	errs = append(errs, validateClusterIPs(before, svc, opts)...)
	errs = append(errs, validateExternalIPs(before, svc, opts)...)
	errs = append(errs, validateTypeName(svc)...)
	errs = append(errs, validatePortUse(svc)...)
	errs = append(errs, validateSourceRanges(before, svc, opts)...)
	errs = append(errs, validateAllocateNodePorts(svc)...)
	errs = append(errs, validateLoadBalancerClass(svc)...)
	errs = append(errs, validateExternalTrafficPolicy(svc)...)
	errs = append(errs, validateHealthCheckNodePort(svc, opts)...)
	errs = append(errs, validateInternalTrafficPolicy(svc)...)
	return append(errs, validateTrafficDistribution(svc)...)
}

// validateTopologyAnnotations is V2.
func validateTopologyAnnotations(svc *corev1.Service) field.ErrorList {
	hints, hasHints := svc.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]
	mode, hasMode := svc.Annotations[corev1.AnnotationTopologyMode]
	if !hasHints || !hasMode || hints == mode {
		return nil
	}
	return field.ErrorList{field.Invalid(metadataPath.Child("annotations").Key(corev1.AnnotationTopologyMode), mode,
		fmt.Sprintf("must match annotations[%s] when both are specified", corev1.DeprecatedAnnotationTopologyAwareHints))}
}

// validateType are V3, V4 and V5: what a type needs and what it excludes.
func validateType(svc *corev1.Service) field.ErrorList {
	var errs field.ErrorList
	headless := isHeadless(svc)
	if len(svc.Spec.Ports) == 0 && !headless && svc.Spec.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(specPath.Child("ports"), ""))
	}
	switch svc.Spec.Type {
	case corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort:
		if headless {
			errs = append(errs, field.Invalid(specPath.Child("clusterIPs").Index(0), svc.Spec.ClusterIPs[0],
				fmt.Sprintf("may not be set to 'None' for %s services", svc.Spec.Type)))
		}
	case corev1.ServiceTypeExternalName:
		errs = append(errs, validateExternalName(svc)...)
	}
	return errs
}

// validateExternalName is V5.
func validateExternalName(svc *corev1.Service) field.ErrorList {
	const excluded = "may not be set for ExternalName services"
	var errs field.ErrorList
	if len(svc.Spec.ClusterIPs) > 0 {
		errs = append(errs, field.Forbidden(specPath.Child("clusterIPs"), excluded))
	}
	if len(svc.Spec.IPFamilies) > 0 {
		errs = append(errs, field.Forbidden(specPath.Child("ipFamilies"), excluded))
	}
	if svc.Spec.IPFamilyPolicy != nil {
		errs = append(errs, field.Forbidden(specPath.Child("ipFamilyPolicy"), excluded))
	}
	// One trailing dot marks the name as fully qualified.
	name := strings.TrimSuffix(svc.Spec.ExternalName, ".")
	if name == "" {
		return append(errs, field.Required(specPath.Child("externalName"), ""))
	}
	return append(errs, invalid(specPath.Child("externalName"), name, validation.IsDNS1123Subdomain(name))...)
}

// validateTypeName is V11.
func validateTypeName(svc *corev1.Service) field.ErrorList {
	return oneOf(specPath.Child("type"), svc.Spec.Type,
		corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort)
}

// isHeadless goes by clusterIPs alone, as the server does, so that the wrong
// types are found out.
func isHeadless(svc *corev1.Service) bool {
	return len(svc.Spec.ClusterIPs) == 1 && svc.Spec.ClusterIPs[0] == corev1.ClusterIPNone
}

// isExternallyAccessible says whether an externalTrafficPolicy has a meaning.
func isExternallyAccessible(svc *corev1.Service) bool {
	switch svc.Spec.Type {
	case corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort:
		return true
	case corev1.ServiceTypeClusterIP:
		return len(svc.Spec.ExternalIPs) > 0
	}
	return false
}

// needsHealthCheck says whether load balancers ask each node for its endpoints.
func needsHealthCheck(svc *corev1.Service) bool {
	return svc.Spec.Type == corev1.ServiceTypeLoadBalancer && svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}
