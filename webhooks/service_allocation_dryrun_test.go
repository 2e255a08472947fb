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
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/allocator"
)

func TestADryRunShowsNoAddressThatTheServerCouldRefuse(t *testing.T) {
	address := func(index int, text string, explicit bool) allocator.Assignment {
		return allocator.Assignment{
			Field:  allocator.Field{Kind: allocator.ClusterIP, Indexes: []int{index}},
			Number: allocator.AddrNumber(netip.MustParseAddr(text)), Explicit: explicit,
		}
	}
	port := allocator.Assignment{Field: allocator.Field{Kind: allocator.NodePort, Indexes: []int{0}}, Number: allocator.PortNumber(30000)}
	ranges := func(families ...corev1.IPFamily) []allocator.RangeStats {
		stats := []allocator.RangeStats{{Kind: allocator.NodePort}}
		for _, family := range families {
			stats = append(stats, allocator.RangeStats{Kind: allocator.ClusterIP, Family: family})
		}
		return stats
	}
	const v4, v6 = corev1.IPv4Protocol, corev1.IPv6Protocol
	would := func(path, ip string) string {
		return path + " would be " + ip + "; a dry-run can not show it where there are several ServiceCIDRs"
	}
	for name, tc := range map[string]struct {
		ips          []string
		assigned     []allocator.Assignment
		ranges       []allocator.RangeStats
		want         []string
		wantWarnings []string
	}{
		"one range of the family": {
			[]string{"10.0.0.1"}, []allocator.Assignment{address(0, "10.0.0.1", false), port}, ranges(v4, v6, v6), []string{"10.0.0.1"}, nil},
		"two ranges": {
			[]string{"10.0.0.1"}, []allocator.Assignment{address(0, "10.0.0.1", false), port}, ranges(v4, v4), []string{},
			[]string{would("spec.clusterIPs[0]", "10.0.0.1")}},
		"two ranges of the second family": {
			[]string{"10.0.0.1", "fd00::1"}, []allocator.Assignment{address(0, "10.0.0.1", false), address(1, "fd00::1", false)}, ranges(v4, v6, v6),
			[]string{"10.0.0.1"}, []string{would("spec.clusterIPs[1]", "fd00::1")}},
		"two ranges of the first family leave no place for the second": {
			[]string{"10.0.0.1", "fd00::1"}, []allocator.Assignment{address(0, "10.0.0.1", false), address(1, "fd00::1", false)}, ranges(v4, v6, v4),
			[]string{}, []string{would("spec.clusterIPs[0]", "10.0.0.1"), would("spec.clusterIPs[1]", "fd00::1")}},
		"what is asked for stays": {
			[]string{"10.0.0.1", "fd00::1"}, []allocator.Assignment{address(0, "10.0.0.1", true), address(1, "fd00::1", false)}, ranges(v4, v4, v6),
			[]string{"10.0.0.1", "fd00::1"}, nil},
		"no address is assigned": {nil, []allocator.Assignment{port}, ranges(v4, v4), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, warnings := hideFromDryRun(allocator.Plan{ClusterIPs: tc.ips, Assignments: tc.assigned}, tc.ranges)
			if diff := cmp.Diff(tc.want, got.ClusterIPs); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantWarnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}
