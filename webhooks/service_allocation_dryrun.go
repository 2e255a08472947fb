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

package webhooks

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/allocator"
)

// hideFromDryRun takes out of a plan the ClusterIPs that the API server could
// refuse in a dry-run, and says what they would be. Where a family has several
// ServiceCIDRs, the server holds every address of a dry-run against one of them,
// drawn at random (A21), so most of what is right for one of the others fails.
// Without an address it answers with a stand-in.
func hideFromDryRun(plan allocator.Plan, ranges []allocator.RangeStats) (allocator.Plan, []string) {
	count := map[corev1.IPFamily]int{}
	for _, r := range ranges {
		if r.Kind == allocator.ClusterIP {
			count[r.Family]++
		}
	}
	shown := len(plan.ClusterIPs)
	for _, a := range plan.Assignments {
		if showsClusterIP(a) && count[familyOf(a.Number)] > 1 {
			shown = min(shown, a.Field.Indexes[0])
		}
	}
	var warnings []string
	for _, a := range plan.Assignments {
		if showsClusterIP(a) && a.Field.Indexes[0] >= shown {
			warnings = append(warnings, fmt.Sprintf("%s would be %s; a dry-run can not show it where there are several ServiceCIDRs",
				pathOf(a.Field), a.Number))
		}
	}
	plan.ClusterIPs = plan.ClusterIPs[:shown]
	return plan, warnings
}

// showsClusterIP tells that the assignment is an address to be set.
func showsClusterIP(a allocator.Assignment) bool {
	return a.Field.Kind == allocator.ClusterIP && !a.Explicit
}

func familyOf(address allocator.Number) corev1.IPFamily {
	if address.Addr.Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}
