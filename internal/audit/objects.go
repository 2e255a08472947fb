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
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/placeholder"
)

func ipAddress(n allocator.Number) Object { return Object{Kind: "IPAddress", Name: n.String()} }

// ipAddresses compares the API server's own record of ClusterIPs with the
// Services (KEP-1880): what has no IPAddress can be given away twice.
func (a *auditor) ipAddresses() {
	for i := range a.Services {
		for _, holding := range allocator.HoldingsOf(&a.Services[i]) {
			if _, ok := a.Addresses[holding.Number]; !ok && !holding.Number.IsPort() {
				a.missing(inventory.KeyOf(&a.Services[i]), holding.Number)
			}
		}
	}
	for n, address := range a.Addresses {
		a.ipAddress(n, address)
	}
}

func (a *auditor) missing(key types.NamespacedName, n allocator.Number) {
	a.find(Finding{
		Severity: Error, Kind: IPAddressMissing, Number: n.String(), number: n,
		Objects: []Object{Service(key)},
		Message: fmt.Sprintf("%s has no IPAddress: the API server may give it to another Service", what(n)),
		Remedy:  "the API server's repair makes one; if this stays, its log says why it can not",
	})
}

func (a *auditor) ipAddress(n allocator.Number, address *networkingv1.IPAddress) {
	parent := placeholder.TakenError{Number: n, Parent: address.Spec.ParentRef}
	service, isService := parent.Service()
	_, ours := placeholder.NumberOfAddress(address)
	switch holders := a.Numbers.Holders(n); {
	case len(holders) > 0 && !(isService && a.Holds(service, n)):
		a.find(Finding{
			Severity: Error, Kind: IPAddressWrongReference, Number: n.String(), number: n,
			Objects: []Object{ipAddress(n), Service(holders[0].Service)},
			Message: fmt.Sprintf("the IPAddress says that %s belongs to %s: it goes when that does, and may then be given away twice", n, parent.Holder()),
			Remedy:  fmt.Sprintf("the API server's repair makes another; if this stays: `kubectl delete ipaddress %s`, and it is made anew", n),
		})
	case len(holders) == 0 && !ours && isService && !a.young(address.CreationTimestamp.Time):
		a.find(Finding{
			Severity: Warning, Kind: IPAddressOrphan, Number: n.String(), number: n,
			Objects: []Object{ipAddress(n)},
			Message: fmt.Sprintf("it keeps %s for Service %s, which does not have it", n, service),
			Remedy:  fmt.Sprintf("the API server's repair deletes it; if this stays: `kubectl delete ipaddress %s`", n),
		})
	}
}

// placeholders finds objects that hold a number for a reservation that is gone,
// or whose Service holds it already.
func (a *auditor) placeholders() {
	if a.Has(inventory.PortReservations) {
		for n, service := range a.HeldPorts {
			a.placeholder(n, Service(service), fmt.Sprintf("the port %s of Service %s", n, service))
		}
	}
	if a.Has(inventory.AddressReservations) {
		for n, address := range a.Addresses {
			// One that a Service has is a wrong reference.
			if _, ours := placeholder.NumberOfAddress(address); ours && len(a.Numbers.Holders(n)) == 0 {
				a.placeholder(n, ipAddress(n), "IPAddress "+n.String())
			}
		}
	}
}

func (a *auditor) placeholder(n allocator.Number, object Object, remove string) {
	why := "is reserved for nobody any more"
	if len(a.Numbers.Holders(n)) > 0 {
		why = "is held by a Service"
	} else if _, reserved := a.Numbers.ReservationOf(n); reserved {
		return
	}
	a.find(Finding{
		Severity: Warning, Kind: PlaceholderForNothing, Number: n.String(), number: n,
		Objects: []Object{object},
		Message: fmt.Sprintf("the placeholder keeps %s, which %s", what(n), why),
		Remedy:  "the manager takes it away; if this stays, is it running? By hand: remove " + remove,
	})
}

// claims finds those whose request is over, and which should have been collected.
func (a *auditor) claims() {
	for n, claim := range a.Claimed {
		age := a.now.Sub(claim.Created)
		if age < allocator.ClaimLifetime+grace {
			continue
		}
		lease := Object{Kind: "Lease", Namespace: claim.Lease.Namespace, Name: claim.Lease.Name}
		a.find(Finding{
			Severity: Warning, Kind: ClaimForNothing, Number: n.String(), number: n,
			Objects: []Object{lease},
			Message: fmt.Sprintf("a claim of %s is older than any request, and counts as taken where numbers are chosen", what(n)),
			Remedy:  claimRemedy(n, lease),
		})
	}
}

// claimRemedy knows that claims of ports stay on purpose while the API server does
// not give the port, though nobody has it.
func claimRemedy(n allocator.Number, lease Object) string {
	if n.IsPort() {
		return fmt.Sprintf("the manager deletes claims after %s, or once the API server gives the port again, some 10 minutes after it has lost track of it; "+
			"if this stays longer, is the manager running? `kubectl -n %s describe lease %s`", allocator.ClaimLifetime, lease.Namespace, lease.Name)
	}
	return fmt.Sprintf("the manager deletes claims after %s; if this stays, is it running? By hand: `kubectl -n %s delete lease %s`",
		allocator.ClaimLifetime, lease.Namespace, lease.Name)
}
