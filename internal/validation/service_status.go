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
	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

// ValidateServiceStatusUpdate is V21: what the server objects to when the
// status before becomes the one after, by way of the status subresource.
func ValidateServiceStatusUpdate(before, after *corev1.Service, opts Options) field.ErrorList {
	errs := validateMetadataUpdate(&before.ObjectMeta, &after.ObjectMeta)
	errs = append(errs, validateLoadBalancerStatus(before, after, opts)...)
	return merge(errs, declaredMetadata(operation.Update, &before.ObjectMeta, &after.ObjectMeta))
}

func validateLoadBalancerStatus(before, after *corev1.Service, opts Options) field.ErrorList {
	path := field.NewPath("status", "loadBalancer", "ingress")
	if after.Spec.Type != corev1.ServiceTypeLoadBalancer && len(after.Status.LoadBalancer.Ingress) > 0 {
		return field.ErrorList{field.Forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")}
	}
	var had []string
	for _, ingress := range before.Status.LoadBalancer.Ingress {
		if ingress.IP != "" {
			had = append(had, ingress.IP)
		}
	}
	var errs field.ErrorList
	for i := range after.Status.LoadBalancer.Ingress {
		errs = append(errs, validateIngress(path.Index(i), &after.Status.LoadBalancer.Ingress[i], had, opts)...)
	}
	return errs
}

func validateIngress(path *field.Path, ingress *corev1.LoadBalancerIngress, had []string, opts Options) field.ErrorList {
	var errs field.ErrorList
	if ingress.IP != "" {
		errs = validateAddress(path.Child("ip"), ingress.IP, had, opts)
	}
	switch mode := ingress.IPMode; {
	case mode == nil && ingress.IP != "":
		errs = append(errs, field.Required(path.Child("ipMode"), "must be specified when `ip` is set"))
	case mode == nil:
	case ingress.IP == "":
		errs = append(errs, field.Forbidden(path.Child("ipMode"), "may not be specified when `ip` is not set"))
	default:
		errs = append(errs, supported(path.Child("ipMode"), *mode, corev1.LoadBalancerIPModeProxy, corev1.LoadBalancerIPModeVIP)...)
	}
	if ingress.Hostname != "" {
		errs = append(errs, invalid(path.Child("hostname"), ingress.Hostname, validation.IsDNS1123Subdomain(ingress.Hostname))...)
		if netutils.ParseIPSloppy(ingress.Hostname) != nil {
			errs = append(errs, field.Invalid(path.Child("hostname"), ingress.Hostname, "must be a DNS name, not an IP address"))
		}
	}
	return errs
}
