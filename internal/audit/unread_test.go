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

package audit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/inventory"
)

func TestWhatWasNotReadIsNotMissing(t *testing.T) {
	for _, kind := range []inventory.Kind{
		inventory.IPAddresses, inventory.ServiceCIDRs, inventory.PortPools, inventory.AddressPools, inventory.PortReservations,
		inventory.AddressReservations, inventory.Claims, inventory.Namespaces, inventory.Services, inventory.Pods,
	} {
		t.Run(string(kind), func(t *testing.T) {
			inv := clean()
			no := false
			inv.AddressPools[0].Spec.AutoAssign = &no
			inv.Unread = []inventory.Unread{{Kind: kind, Reason: inventory.Forbidden}}
			switch kind {
			case inventory.IPAddresses:
				inv.IPAddresses = nil
			case inventory.ServiceCIDRs:
				inv.ServiceCIDRs = nil
			case inventory.PortPools:
				inv.PortPools = nil
			case inventory.AddressPools:
				inv.AddressPools = nil
			case inventory.PortReservations:
				inv.PortReservations = nil
			case inventory.AddressReservations:
				inv.AddressReservations = nil
			case inventory.Claims:
				inv.Claims = nil
			case inventory.Namespaces:
				inv.Namespaces = nil // in which that may be allowed by a label
				inv.Endpoints.Slices[0].Endpoints[0].Addresses = []string{"10.1.0.8"}
			case inventory.Pods:
				inv.Endpoints.Pods = nil
			case inventory.Services:
				inv.Services = inv.Services[1:2]
			}
			report := Run(inv.Index(), now)
			if diff := cmp.Diff([]string{}, told(report)); diff != "" || len(report.NotRead) != 1 || !report.Partial() {
				t.Errorf("not read %v, findings (-want +got):\n%s", report.NotRead, diff)
			}
		})
	}
}

func TestTheServicesOfOneNamespaceAreEnoughForSomeFindings(t *testing.T) {
	inv := clean()
	inv.Services = inv.Services[1:2]
	twin := *inv.Services[0].DeepCopy()
	twin.Name, twin.Spec.ClusterIP, twin.Spec.ClusterIPs = "twin", "", nil
	inv.Services = append(inv.Services, twin)
	inv.PortPools = append(inv.PortPools, *inv.PortPools[0].DeepCopy())
	inv.PortPools[len(inv.PortPools)-1].Name = "z"
	inv.Unread = []inventory.Unread{{Kind: inventory.Services, Reason: inventory.Forbidden}}
	report := Run(inv.Index(), now)
	kinds := map[Kind]int{}
	for _, f := range report.Findings {
		kinds[f.Kind]++
		if strings.Contains(f.Remedy, "free") {
			t.Errorf("it calls numbers free that others may have: %s", f.Remedy)
		}
	}
	if diff := cmp.Diff(map[Kind]int{NumberHeldTwice: 2, PoolConflict: 1}, kinds); diff != "" {
		t.Errorf("findings (-want +got):\n%s\n%v", diff, told(report))
	}
}

func TestWhatIsNotServedIsNotMissing(t *testing.T) {
	if (Report{NotRead: []inventory.Unread{{Kind: inventory.PortPools, Reason: inventory.NotServed}}}).Partial() {
		t.Error("a cluster without pools can not be looked at as a whole")
	}
}

func TestNothingIsSaidToBeRightThatWasNotRead(t *testing.T) {
	for want, notRead := range map[string][]inventory.Unread{
		"Nothing is wrong.":                         nil,
		"Nothing is wrong with what could be read.": {{Kind: inventory.Claims}},
	} {
		if got := (Report{NotRead: notRead}).Summary(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
