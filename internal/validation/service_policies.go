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
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxAffinitySeconds is one day, and is itself allowed whatever the message says.
const maxAffinitySeconds = 86400

// validateSessionAffinity is V9.
func validateSessionAffinity(svc *corev1.Service) field.ErrorList {
	errs := oneOf(specPath.Child("sessionAffinity"), svc.Spec.SessionAffinity, corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone)
	path := specPath.Child("sessionAffinityConfig")
	switch config := svc.Spec.SessionAffinityConfig; svc.Spec.SessionAffinity {
	case corev1.ServiceAffinityClientIP:
		return append(errs, validateAffinityTimeout(path, config)...)
	case corev1.ServiceAffinityNone:
		if config != nil {
			errs = append(errs, field.Forbidden(path, "must not be set when session affinity is None"))
		}
	}
	return errs
}

func validateAffinityTimeout(path *field.Path, config *corev1.SessionAffinityConfig) field.ErrorList {
	const required = "when session affinity type is ClientIP"
	switch {
	case config == nil:
		return field.ErrorList{field.Required(path, required)}
	case config.ClientIP == nil:
		return field.ErrorList{field.Required(path.Child("clientIP"), required)}
	case config.ClientIP.TimeoutSeconds == nil:
		return field.ErrorList{field.Required(path.Child("clientIP", "timeoutSeconds"), required)}
	}
	if timeout := config.ClientIP.TimeoutSeconds; *timeout <= 0 || *timeout > maxAffinitySeconds {
		return field.ErrorList{field.Invalid(path.Child("clientIP", "timeoutSeconds"), timeout,
			fmt.Sprintf("must be greater than 0 and less than %d", maxAffinitySeconds))}
	}
	return nil
}

// validateExternalTrafficPolicy is V15.
func validateExternalTrafficPolicy(svc *corev1.Service) field.ErrorList {
	path, policy := specPath.Child("externalTrafficPolicy"), svc.Spec.ExternalTrafficPolicy
	if isExternallyAccessible(svc) {
		return oneOf(path, policy, corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal)
	}
	if policy != "" {
		return field.ErrorList{field.Invalid(path, policy, "may only be set for externally-accessible services")}
	}
	return nil
}

// validateHealthCheckNodePort is V16.
func validateHealthCheckNodePort(svc *corev1.Service, opts Options) field.ErrorList {
	path, port := specPath.Child("healthCheckNodePort"), svc.Spec.HealthCheckNodePort
	switch {
	case !needsHealthCheck(svc) && port != 0:
		return field.ErrorList{field.Invalid(path, port, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'")}
	case !needsHealthCheck(svc), port == 0 && opts.Unallocated:
		return nil
	case port == 0:
		return field.ErrorList{field.Required(path, "")}
	}
	return invalid(path, port, validation.IsValidPortNum(int(port)))
}

// validateHealthCheckNodePortUpdate is V16 on update.
func validateHealthCheckNodePortUpdate(before, after *corev1.Service) field.ErrorList {
	if needsHealthCheck(before) && needsHealthCheck(after) && before.Spec.HealthCheckNodePort != after.Spec.HealthCheckNodePort {
		return field.ErrorList{field.Forbidden(specPath.Child("healthCheckNodePort"), "field is immutable")}
	}
	return nil
}

// validateInternalTrafficPolicy is the first half of V17. An ExternalName may
// have one, since it was not looked at when the field was new.
func validateInternalTrafficPolicy(svc *corev1.Service) field.ErrorList {
	path, policy := specPath.Child("internalTrafficPolicy"), svc.Spec.InternalTrafficPolicy
	if policy == nil {
		switch svc.Spec.Type {
		case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
			return field.ErrorList{field.Required(path, "")}
		}
		return nil
	}
	return supported(path, *policy, corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal)
}

// validateTrafficDistribution is the second half of V17 (KEP-4444, KEP-3015).
func validateTrafficDistribution(svc *corev1.Service) field.ErrorList {
	if svc.Spec.TrafficDistribution == nil {
		return nil
	}
	return supported(specPath.Child("trafficDistribution"), *svc.Spec.TrafficDistribution, corev1.ServiceTrafficDistributionPreferClose,
		corev1.ServiceTrafficDistributionPreferSameZone, corev1.ServiceTrafficDistributionPreferSameNode)
}
