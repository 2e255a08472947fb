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
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

var (
	clusterIPsPath     = specPath.Child("clusterIPs")
	ipFamiliesPath     = specPath.Child("ipFamilies")
	ipFamilyPolicyPath = specPath.Child("ipFamilyPolicy")
)

// validateClusterIPs are V18 and the first part of V19. An ExternalName has
// none of these fields, which validateExternalName sees to.
func validateClusterIPs(before, svc *corev1.Service, opts Options) field.ErrorList {
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	errs := validateClusterIPPair(svc)
	errs = append(errs, validateIPFamilies(svc)...)
	malformed := validateClusterIPForms(before, svc, opts)
	errs = append(errs, malformed...)
	if len(svc.Spec.ClusterIPs) > 2 {
		errs = append(errs, field.Invalid(clusterIPsPath, svc.Spec.ClusterIPs, "may only hold up to 2 values"))
	}
	if len(malformed) > 0 {
		return errs // The family of what is no address is anybody's guess.
	}
	if len(svc.Spec.ClusterIPs) > 1 {
		errs = append(errs, validateDualStack(svc.Spec.ClusterIPs)...)
	}
	return append(errs, validateFamiliesOfIPs(svc)...)
}

// validateClusterIPPair is for clusterIP, which repeats the first of clusterIPs.
func validateClusterIPPair(svc *corev1.Service) field.ErrorList {
	single, list := svc.Spec.ClusterIP, svc.Spec.ClusterIPs
	switch {
	case single == "" && len(list) > 0:
		return field.ErrorList{field.Invalid(clusterIPsPath, list, "must be empty when `clusterIP` is not specified")}
	case single != "" && len(list) == 0:
		return field.ErrorList{field.Required(clusterIPsPath, "")}
	case single != "" && list[0] != single:
		return field.ErrorList{field.Invalid(clusterIPsPath, list, "first value must match `clusterIP`")}
	}
	return nil
}

func validateIPFamilies(svc *corev1.Service) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[corev1.IPFamily]()
	for i, family := range svc.Spec.IPFamilies {
		errs = append(errs, supported(ipFamiliesPath.Index(i), family, corev1.IPv4Protocol, corev1.IPv6Protocol)...)
		if seen.Has(family) {
			errs = append(errs, field.Duplicate(ipFamiliesPath.Index(i), family))
		}
		seen.Insert(family)
	}
	if svc.Spec.IPFamilyPolicy != nil {
		errs = append(errs, supported(ipFamilyPolicyPath, *svc.Spec.IPFamilyPolicy,
			corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicySingleStack)...)
	}
	return errs
}

// validateClusterIPForms looks at each entry by itself: an address, or None as
// the first and only one.
func validateClusterIPForms(before, svc *corev1.Service, opts Options) field.ErrorList {
	var had []string
	if before != nil {
		had = before.Spec.ClusterIPs
	}
	var errs field.ErrorList
	for i, ip := range svc.Spec.ClusterIPs {
		switch {
		case i > 0 || ip != corev1.ClusterIPNone:
			errs = append(errs, validateAddress(clusterIPsPath.Index(i), ip, had, opts)...)
		case len(svc.Spec.ClusterIPs) > 1:
			errs = append(errs, field.Invalid(clusterIPsPath, svc.Spec.ClusterIPs, "'None' must be the first and only value"))
		}
	}
	return errs
}

func validateDualStack(ips []string) field.ErrorList {
	var errs field.ErrorList
	dual, err := netutils.IsDualStackIPStrings(ips)
	if err != nil {
		// Something that is no address, from before there was validation.
		errs = append(errs, field.InternalError(clusterIPsPath, fmt.Errorf("failed to check for dual stack with error:%v", err)))
	}
	if !dual {
		errs = append(errs, field.Invalid(clusterIPsPath, ips, "may specify no more than one IP for each IP family"))
	}
	return errs
}

func validateFamiliesOfIPs(svc *corev1.Service) field.ErrorList {
	if isHeadless(svc) {
		return nil
	}
	var errs field.ErrorList
	for i, ip := range svc.Spec.ClusterIPs[:min(len(svc.Spec.ClusterIPs), len(svc.Spec.IPFamilies))] {
		isIPv6 := netutils.IsIPv6String(ip)
		switch family := svc.Spec.IPFamilies[i]; {
		case family == corev1.IPv4Protocol && isIPv6, family == corev1.IPv6Protocol && !isIPv6:
			errs = append(errs, field.Invalid(clusterIPsPath.Index(i), ip,
				fmt.Sprintf("expected an %s value as indicated by `ipFamilies[%d]`", family, i)))
		}
	}
	return errs
}
