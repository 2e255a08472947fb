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

package allocator

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// familiesOf says which families a Service gets ClusterIPs of, in order, by the
// API server's rules (A14, A15). Configured are the families of the cluster, its
// default first. It is false for a Service that the API server will reject: that
// is for the server to say, in its own words.
func familiesOf(old, work *corev1.Service, configured []corev1.IPFamily) ([]corev1.IPFamily, bool) {
	if len(configured) == 0 || !plausibleClusterIPs(work) {
		return nil, false
	}
	policy := policyOf(old, work)
	ips, families := work.Spec.ClusterIPs, slices.Clone(work.Spec.IPFamilies)
	if old != nil {
		var ok bool
		if ips, families, ok = release(old, policy, ips, families); !ok {
			return nil, false
		}
	}
	single := policy == corev1.IPFamilyPolicySingleStack
	if single && (len(ips) > 1 || len(families) > 1) {
		return nil, false
	}
	families, ok := inferFamilies(ips, families, configured)
	if !ok || policy == corev1.IPFamilyPolicyRequireDualStack && len(configured) < 2 {
		return nil, false
	}
	if !single && len(families) == 1 && len(configured) == 2 {
		families = append(families, otherFamily(families[0]))
	}
	return families, true
}

// policyOf is the policy asked for, else the one there was, else single-stack.
func policyOf(old, work *corev1.Service) corev1.IPFamilyPolicy {
	switch {
	case work.Spec.IPFamilyPolicy != nil:
		return *work.Spec.IPFamilyPolicy
	case old != nil && old.Spec.IPFamilyPolicy != nil:
		return *old.Spec.IPFamilyPolicy
	}
	return corev1.IPFamilyPolicySingleStack
}

// release reads an update to one family: SingleStack drops the second address
// and family when they were left as they are, other policies never drop any.
func release(old *corev1.Service, policy corev1.IPFamilyPolicy, ips []string, families []corev1.IPFamily) (
	[]string, []corev1.IPFamily, bool,
) {
	before := pluralClusterIPs(old)
	if policy != corev1.IPFamilyPolicySingleStack {
		reduced := len(ips) > 0 && len(ips) < len(before) ||
			len(families) > 0 && len(families) < len(old.Spec.IPFamilies)
		return ips, families, !reduced
	}
	if slices.Equal(ips, before) && len(ips) > 1 {
		ips = ips[:1]
	}
	if slices.Equal(families, old.Spec.IPFamilies) && len(families) > 1 {
		families = families[:1]
	}
	return ips, families, true
}

// inferFamilies adds the families of addresses that were given without one, or
// the cluster's default where nothing was given.
func inferFamilies(ips []string, families, configured []corev1.IPFamily) ([]corev1.IPFamily, bool) {
	for i := len(families); i < len(ips); i++ {
		addr, _ := netip.ParseAddr(ips[i]) // checked by plausibleClusterIPs
		families = append(families, familyOf(addr))
	}
	if len(families) == 0 {
		families = configured[:1:1]
	}
	for _, family := range families {
		if !slices.Contains(configured, family) {
			return nil, false
		}
	}
	return families, len(families) == 1 || len(families) == 2 && families[0] != families[1]
}

// plausibleClusterIPs is false where the fields contradict each other.
func plausibleClusterIPs(service *corev1.Service) bool {
	ips := service.Spec.ClusterIPs
	if len(ips) > 2 || len(ips) > 0 && ips[0] != service.Spec.ClusterIP {
		return false
	}
	for i, ip := range ips {
		addr, err := netip.ParseAddr(ip)
		if err != nil || i < len(service.Spec.IPFamilies) && service.Spec.IPFamilies[i] != familyOf(addr) {
			return false
		}
	}
	return true
}

func otherFamily(family corev1.IPFamily) corev1.IPFamily {
	if family == corev1.IPv4Protocol {
		return corev1.IPv6Protocol
	}
	return corev1.IPv4Protocol
}
