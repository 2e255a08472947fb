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
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// The one address of fd00::/127 that can be given is taken, or claimed.
func TestTwoAddressesAreRefusedWhereOneCanNotBeGiven(t *testing.T) {
	taken := stored(svc(ips("fd00::1"), func(s *corev1.Service) { s.Name = "six" }), "u6", 1)
	full := []string{"ClusterIP[1]: fd00::/127"}
	for name, tc := range map[string]struct {
		request PlanRequest
		claimed bool // instead of held
		free    bool
		want    []string
	}{
		"both automatic":                      {PlanRequest{New: svc(require)}, false, false, full},
		"the other one by value":              {PlanRequest{New: svc(require, ips("10.0.0.7"))}, false, false, full},
		"the same in a dry-run":               {PlanRequest{New: svc(require), DryRun: true}, false, false, full},
		"the same where we choose":            {PlanRequest{New: svc(require), Mode: Authoritative}, false, false, full},
		"there is one":                        {PlanRequest{New: svc(require)}, false, true, nil},
		"the server may yet find one":         {PlanRequest{New: svc(require)}, true, false, nil},
		"only the address that can be given":  {PlanRequest{New: svc()}, false, false, nil},
		"only the one that can not":           {PlanRequest{New: svc(families(v6))}, false, false, nil},
		"an upgrade, which has the other one": {PlanRequest{Old: stored(svc(ips("10.0.0.5"), families(v4), single), "u1", 1), New: svc(require, ips("10.0.0.5"), families(v4))}, false, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			index := newIndex(t, "10.0.0.0/24", "fd00::/127")
			switch {
			case tc.claimed:
				index.Claim(Claim{Number: AddrNumber(netip.MustParseAddr("fd00::1"))})
			case !tc.free:
				index.Observe(taken)
			}
			var got []string
			for _, refusal := range index.Plan(tc.request).Refusals {
				got = append(got, demand{field: refusal.Field}.String()[:len("ClusterIP[1]")]+": "+refusal.Full)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
			if index.Stats()[1].Allocated != 0 {
				t.Error("an address that was only looked for stays taken")
			}
		})
	}
}
