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
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// changed is the server's message for most that is fixed once given.
const changed = "may not change once set"

// validateClusterIPsUpdate is V20 for addresses: the first stays, a second one
// comes and goes with the policy. Everything may change along with the type
// ExternalName, and headless Services have nothing to keep.
func validateClusterIPsUpdate(before, after *corev1.Service) field.ErrorList {
	if isExternalNameChange(before, after) || isHeadless(before) && isHeadless(after) {
		return nil
	}
	had, has := before.Spec.ClusterIPs, after.Spec.ClusterIPs
	var errs field.ErrorList
	switch {
	case len(had) == len(has):
		for i := range had {
			if had[i] != has[i] {
				errs = append(errs, field.Invalid(clusterIPsPath.Index(i), has, changed))
			}
		}
		return errs
	case len(has) == 0:
		return field.ErrorList{field.Invalid(clusterIPsPath.Index(0), has, "primary clusterIP can not be unset")}
	case len(had) > 0 && had[0] != has[0]:
		errs = append(errs, field.Invalid(clusterIPsPath.Index(0), has, changed))
	}
	if len(had) > len(has) && len(has) == 1 {
		errs = append(errs, validateRelease(after, "must be set to 'SingleStack' when releasing the secondary clusterIP")...)
	}
	return errs
}

// validateIPFamiliesUpdate is V20 for families. Headless Services may change
// theirs. Where their number changes too, the server shows the addresses.
func validateIPFamiliesUpdate(before, after *corev1.Service) field.ErrorList {
	if isExternalNameChange(before, after) || isHeadless(before) || isHeadless(after) {
		return nil
	}
	had, has := before.Spec.IPFamilies, after.Spec.IPFamilies
	first := ipFamiliesPath.Index(0)
	var errs field.ErrorList
	if len(had) == len(has) {
		for i := range had {
			if had[i] != has[i] {
				errs = append(errs, field.Invalid(first, has, changed))
			}
		}
		return errs
	}
	if len(had) > len(has) && len(after.Spec.ClusterIPs) == 0 {
		errs = append(errs, field.Invalid(first, has, "primary ipFamily can not be unset"))
	}
	if len(had) > 0 && len(has) > 0 && had[0] != has[0] {
		errs = append(errs, field.Invalid(first, after.Spec.ClusterIPs, changed))
	}
	if len(had) > len(has) && len(has) == 1 {
		errs = append(errs, validateRelease(after, "must be set to 'SingleStack' when releasing the secondary ipFamily")...)
	}
	return errs
}

func validateRelease(after *corev1.Service, message string) field.ErrorList {
	if policyOf(after) == corev1.IPFamilyPolicySingleStack {
		return nil
	}
	return field.ErrorList{field.Invalid(ipFamilyPolicyPath, after.Spec.IPFamilyPolicy, message)}
}

// policyOf is the IP family policy, or nothing.
func policyOf(svc *corev1.Service) corev1.IPFamilyPolicy {
	if svc.Spec.IPFamilyPolicy == nil {
		return ""
	}
	return *svc.Spec.IPFamilyPolicy
}

func isExternalNameChange(before, after *corev1.Service) bool {
	return before.Spec.Type == corev1.ServiceTypeExternalName || after.Spec.Type == corev1.ServiceTypeExternalName
}
