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
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateExternalIPs is V10. Values that were there before are not looked at
// again as to their form.
func validateExternalIPs(before, svc *corev1.Service, opts Options) field.ErrorList {
	var had []string
	if before != nil {
		had = before.Spec.ExternalIPs
	}
	var errs field.ErrorList
	for i, ip := range svc.Spec.ExternalIPs {
		path := specPath.Child("externalIPs").Index(i)
		malformed := validateAddress(path, ip, had, opts)
		errs = append(errs, malformed...)
		if len(malformed) == 0 {
			errs = append(errs, validateReserved(path, ip)...)
		}
	}
	return errs
}

// validateSourceRanges is V13, for the field or else for the annotation that
// was before it. The server's path of the field begins with a capital letter.
func validateSourceRanges(before, svc *corev1.Service, opts Options) field.ErrorList {
	path, had := specPath.Child("LoadBalancerSourceRanges"), []string(nil)
	annotation, annotated := svc.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey]
	inField := len(svc.Spec.LoadBalancerSourceRanges) > 0
	switch {
	case inField:
	case annotated:
		path = metadataPath.Child("annotations").Key(corev1.AnnotationLoadBalancerSourceRangesKey)
	default:
		return nil
	}
	var errs field.ErrorList
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		errs = append(errs, field.Forbidden(path, onlyLoadBalancer))
	}
	if !inField {
		return append(errs, validateSourceRangesAnnotation(path, before, annotation, opts)...)
	}
	if before != nil {
		for _, cidr := range before.Spec.LoadBalancerSourceRanges {
			had = append(had, strings.TrimSpace(cidr))
		}
	}
	for i, cidr := range svc.Spec.LoadBalancerSourceRanges {
		// Spaces have been allowed since the field's values came from the annotation.
		errs = append(errs, validateCIDR(path.Index(i), strings.TrimSpace(cidr), had, opts)...)
	}
	return errs
}

func validateSourceRangesAnnotation(path *field.Path, before *corev1.Service, value string, opts Options) field.ErrorList {
	if before != nil && before.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey] == value {
		return nil
	}
	value = strings.TrimSpace(value)
	if value == "" {
		return nil
	}
	var errs field.ErrorList
	for cidr := range strings.SplitSeq(value, ",") {
		errs = append(errs, validateCIDR(path, strings.TrimSpace(cidr), nil, opts)...)
	}
	return errs
}

// validateAllocateNodePorts is the first half of V14. Where the server misses
// the field, its path lacks the spec.
func validateAllocateNodePorts(svc *corev1.Service) field.ErrorList {
	const name = "allocateLoadBalancerNodePorts"
	switch set := svc.Spec.AllocateLoadBalancerNodePorts != nil; {
	case set && svc.Spec.Type != corev1.ServiceTypeLoadBalancer:
		return field.ErrorList{field.Forbidden(specPath.Child(name), onlyLoadBalancer)}
	case !set && svc.Spec.Type == corev1.ServiceTypeLoadBalancer:
		return field.ErrorList{field.Required(field.NewPath(name), "")}
	}
	return nil
}

// validateLoadBalancerClass is the second half of V14.
func validateLoadBalancerClass(svc *corev1.Service) field.ErrorList {
	path, class := specPath.Child("loadBalancerClass"), svc.Spec.LoadBalancerClass
	switch {
	case class == nil:
		return nil
	case svc.Spec.Type != corev1.ServiceTypeLoadBalancer:
		return field.ErrorList{field.Forbidden(path, onlyLoadBalancer)}
	}
	return invalid(path, *class, validation.IsQualifiedName(*class))
}

// validateLoadBalancerClassUpdate is V14 on update. The server looks at the
// class itself once more, and says so twice.
func validateLoadBalancerClassUpdate(before, after *corev1.Service) field.ErrorList {
	var errs field.ErrorList
	if before.Spec.Type == corev1.ServiceTypeLoadBalancer && after.Spec.Type == corev1.ServiceTypeLoadBalancer &&
		!equalPointers(before.Spec.LoadBalancerClass, after.Spec.LoadBalancerClass) {
		errs = append(errs, field.Invalid(specPath.Child("loadBalancerClass"), after.Spec.LoadBalancerClass, changed))
	}
	return append(errs, validateLoadBalancerClass(after)...)
}

func equalPointers[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
