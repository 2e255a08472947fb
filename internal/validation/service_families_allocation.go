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
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

// ValidateIPFamilies is the rest of V19: what the server's allocator objects to
// before anything is validated. Missing values mean the allocator's choice, and
// before is nil on create. Where opts do not say which families the cluster
// has, none is missed.
func ValidateIPFamilies(before, svc *corev1.Service, opts Options) field.ErrorList {
	return allocateFamilies(before, svc.DeepCopy(), opts)
}

// allocateFamilies is ValidateIPFamilies, and fills in, in place, what follows
// from what is there. The allocator's free choice stays open.
func allocateFamilies(before, svc *corev1.Service, opts Options) field.ErrorList {
	if svc.Spec.Type == corev1.ServiceTypeExternalName || keepsPreferDualStack(before, svc) {
		return nil
	}
	inferPolicy(before, svc)
	if errs := validateClusterIPs(before, svc, opts); len(errs) > 0 {
		return errs
	}
	errs := releaseSecondary(before, svc)
	errs = append(errs, validateSingleStack(svc)...)
	errs = append(errs, inferFamilies(svc, opts)...)
	if len(errs) > 0 {
		return errs
	}
	// Endpoints of a headless Service without a selector can be of any family.
	if svc.Spec.ClusterIP == corev1.ClusterIPNone && len(svc.Spec.Selector) == 0 {
		return nil
	}
	if policyOf(svc) == corev1.IPFamilyPolicyRequireDualStack && len(opts.IPFamilies) == 1 {
		errs = append(errs, field.Invalid(ipFamilyPolicyPath, svc.Spec.IPFamilyPolicy, "this cluster is not configured for dual-stack services"))
	}
	for i, family := range svc.Spec.IPFamilies {
		if !opts.hasFamily(family) {
			errs = append(errs, field.Invalid(ipFamiliesPath.Index(i), family, "not configured on this cluster"))
		}
	}
	return errs
}

func (o Options) hasFamily(family corev1.IPFamily) bool {
	return len(o.IPFamilies) == 0 || slices.Contains(o.IPFamilies, family)
}

// keepsPreferDualStack says that nothing of a PreferDualStack Service changes
// here: it keeps what it has when the cluster's families change.
func keepsPreferDualStack(before, svc *corev1.Service) bool {
	return before != nil && before.Spec.Type == svc.Spec.Type &&
		policyOf(svc) == corev1.IPFamilyPolicyPreferDualStack &&
		(before.Spec.IPFamilyPolicy == nil || policyOf(before) == corev1.IPFamilyPolicyPreferDualStack) &&
		slices.Contains([]corev1.ServiceType{corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer}, svc.Spec.Type) &&
		slices.Equal(before.Spec.ClusterIPs, svc.Spec.ClusterIPs) && slices.Equal(before.Spec.IPFamilies, svc.Spec.IPFamilies)
}

// inferPolicy sets a policy that was left out. It must not be a fixed default:
// a change between one and two families has to be asked for.
func inferPolicy(before, svc *corev1.Service) {
	switch {
	case svc.Spec.IPFamilyPolicy != nil:
	case before != nil && before.Spec.IPFamilyPolicy != nil:
		svc.Spec.IPFamilyPolicy = before.Spec.IPFamilyPolicy
	case svc.Spec.ClusterIP == corev1.ClusterIPNone && len(svc.Spec.Selector) == 0:
		svc.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicyRequireDualStack)
	default:
		svc.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicySingleStack)
	}
}

// releaseSecondary takes the second address and family away where SingleStack
// asks for it, and objects where they were taken away without it.
func releaseSecondary(before, svc *corev1.Service) field.ErrorList {
	if before == nil {
		return nil
	}
	ips, families := svc.Spec.ClusterIPs, svc.Spec.IPFamilies
	if policyOf(svc) == corev1.IPFamilyPolicySingleStack {
		if slices.Equal(before.Spec.ClusterIPs, ips) && len(ips) > 1 {
			svc.Spec.ClusterIPs = ips[:1]
		}
		if slices.Equal(before.Spec.IPFamilies, families) && len(families) > 1 {
			svc.Spec.IPFamilies = families[:1]
		}
		return nil
	}
	var errs field.ErrorList
	if len(ips) > 0 && len(ips) < len(before.Spec.ClusterIPs) {
		errs = append(errs, field.Invalid(ipFamilyPolicyPath, svc.Spec.IPFamilyPolicy, "must be 'SingleStack' to release the secondary cluster IP"))
	}
	if len(families) > 0 && len(families) < len(before.Spec.IPFamilies) {
		errs = append(errs, field.Invalid(ipFamilyPolicyPath, svc.Spec.IPFamilyPolicy, "must be 'SingleStack' to release the secondary IP family"))
	}
	return errs
}

func validateSingleStack(svc *corev1.Service) field.ErrorList {
	if policyOf(svc) != corev1.IPFamilyPolicySingleStack {
		return nil
	}
	const message = "must be 'RequireDualStack' or 'PreferDualStack' when multiple %s are specified"
	var errs field.ErrorList
	if len(svc.Spec.ClusterIPs) == 2 {
		errs = append(errs, field.Invalid(ipFamilyPolicyPath, svc.Spec.IPFamilyPolicy, fmt.Sprintf(message, "cluster IPs")))
	}
	if len(svc.Spec.IPFamilies) == 2 {
		errs = append(errs, field.Invalid(ipFamilyPolicyPath, svc.Spec.IPFamilyPolicy, fmt.Sprintf(message, "IP families")))
	}
	return errs
}

// inferFamilies adds the families of addresses that have none given, and names
// the address where the cluster lacks its family.
func inferFamilies(svc *corev1.Service, opts Options) field.ErrorList {
	var errs field.ErrorList
	for i, ip := range svc.Spec.ClusterIPs {
		if ip == corev1.ClusterIPNone {
			break
		}
		if i < len(svc.Spec.IPFamilies) {
			continue
		}
		family := familyOf(ip)
		if !opts.hasFamily(family) {
			errs = append(errs, field.Invalid(clusterIPsPath.Index(i), svc.Spec.ClusterIPs, fmt.Sprintf("%s is not configured on this cluster", family)))
			continue
		}
		svc.Spec.IPFamilies = append(svc.Spec.IPFamilies, family)
	}
	return errs
}

// familyOf calls the family of what is no address unknown, as the server does.
func familyOf(ip string) corev1.IPFamily {
	switch {
	case netutils.IsIPv4String(ip):
		return corev1.IPv4Protocol
	case netutils.IsIPv6String(ip):
		return corev1.IPv6Protocol
	}
	return "unknown"
}
