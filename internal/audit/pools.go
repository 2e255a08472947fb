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
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/placeholder"
)

// reservations finds numbers that somebody else has or could get.
func (a *auditor) reservations() {
	for _, r := range a.Numbers.Reservations() {
		object := Object{Kind: r.Kind(), Name: r.Object}
		holders := a.Numbers.Holders(r.Number)
		others := slices.DeleteFunc(slices.Clone(holders), func(h allocator.Holder) bool { return r.For(h.Service) })
		_, inRange := a.RangeOf(r.Number)
		switch {
		case len(others) > 0:
			a.reservedTaken(r, object, others)
		case len(holders) > 0 || a.HeldFor(r.Number):
		case !inRange && r.Number.IsPort() && a.rangeKnown(r.Number):
			a.find(Finding{
				Severity: Warning, Kind: ReservationOutOfRange, Number: r.Number.String(), number: r.Number,
				Objects: []Object{object},
				Message: fmt.Sprintf("port %s is not in %s: the API server gives it to nobody, its Service neither", r.Number, a.NodePorts.Span),
				Remedy:  "reserve another, or extend the API server's --service-node-port-range",
			})
		case inRange && a.holdingKnown(r.Number) && !a.Numbers.Claimed(r.Number):
			a.find(Finding{
				Severity: Warning, Kind: ReservationNotHeld, Number: r.Number.String(), number: r.Number,
				Objects: []Object{object},
				Message: fmt.Sprintf("nothing keeps %s: while Switchyard's webhook does not answer, anybody can get it", what(r.Number)),
				Remedy:  "the manager makes a placeholder for it; if this stays, is it running? Its Events on the reservation say why it can not",
			})
		}
	}
}

// holdingKnown is whether one would see that the number is held.
func (a *auditor) holdingKnown(n allocator.Number) bool {
	return a.Has(inventory.Services) && (n.IsPort() || a.Has(inventory.IPAddresses))
}

func (a *auditor) reservedTaken(r allocator.Reservation, object Object, others []allocator.Holder) {
	whom := "nobody"
	if r.Service.Name != "" {
		whom = "Service " + r.Service.String()
	}
	taken := make([]Object, 0, len(others)+1)
	remedy := fmt.Sprintf("give %s another, or delete %s or change its serviceRef", names(others), object)
	for _, h := range others {
		taken = append(taken, Service(h.Service))
		if service, known := a.Service(h.Service); known && placeholder.IsPorts(service) {
			remedy = fmt.Sprintf("it looks like a placeholder of a manager in namespace %s: if one runs there, say so with --manager-namespace", h.Service.Namespace)
		}
	}
	a.find(Finding{
		Severity: Error, Kind: ReservedNumberTaken, Number: r.Number.String(), number: r.Number,
		Objects: append(slices.Compact(taken), object),
		Message: fmt.Sprintf("%s is reserved for %s, and held by %s", what(r.Number), whom, names(others)),
		Remedy:  remedy,
	})
}

// ranges finds those of the API server that are full.
func (a *auditor) ranges() {
	stats := map[string]allocator.RangeStats{}
	for _, s := range a.Numbers.Stats() {
		stats[s.Range] = s
	}
	for _, r := range a.Ranges() {
		if s, ok := stats[r.Text]; !ok || s.Free > 0 || a.claimedIn(r.Span) || !r.Open || r.ServiceCIDR == "" && a.NodePorts.From == inventory.Assumed {
			continue
		}
		finding := Finding{
			Severity: Error, Kind: RangeFull, Number: r.Text, Objects: []Object{},
			Message: "no NodePort is free: Services that ask for one are refused",
			Remedy:  "delete or change Services, or extend the API server's --service-node-port-range",
		}
		if r.ServiceCIDR != "" {
			finding.Objects = []Object{{Kind: "ServiceCIDR", Name: r.ServiceCIDR}}
			finding.Message = "no ClusterIP of it is free: where no other ServiceCIDR has one, Services are refused"
			finding.Remedy = "delete Services, or create another ServiceCIDR"
		}
		a.find(finding)
	}
}

// claimedIn tells whether some number there is only claimed: it is held by a
// Service at once, or free again within a minute.
func (a *auditor) claimedIn(span inventory.Span) bool {
	for n := range a.Claimed {
		if _, reserved := a.Numbers.ReservationOf(n); span.Contains(n) && !reserved && len(a.Numbers.Holders(n)) == 0 {
			return true
		}
	}
	return false
}

// pools finds those that give no numbers, or not all of theirs.
func (a *auditor) pools() {
	counted := a.Has(inventory.Services)
	for _, pool := range a.Numbers.PortPools() {
		object := Object{Kind: "PortPool", Name: pool.Name}
		if counted && pool.AutoAssign && pool.Count.Free == 0 && pool.Count.Capacity > 0 {
			a.poolFull(object, "")
		}
		for _, c := range pool.Conflicts {
			a.poolConflict(object, c.With, inventory.PortSpans(c.Span)[0])
		}
		if a.NodePorts.From != inventory.Assumed {
			a.poolOutside(object, inventory.PortSpans(pool.Outside...), "the API server's "+a.NodePorts.Span.String())
		}
	}
	for _, pool := range a.Numbers.AddrPools() {
		object := Object{Kind: "AddressPool", Name: pool.Name}
		for family, count := range map[corev1.IPFamily]allocator.PoolCount{corev1.IPv4Protocol: pool.IPv4, corev1.IPv6Protocol: pool.IPv6} {
			if counted && pool.AutoAssign && !pool.Disabled && count.Free == 0 && count.Capacity > 0 {
				a.poolFull(object, family)
			}
		}
		for _, c := range pool.Conflicts {
			a.poolConflict(object, c.With, inventory.AddrSpans([]allocator.AddrSpan{c.Span})[0])
		}
		if a.Has(inventory.ServiceCIDRs) {
			a.poolOutside(object, inventory.AddrSpans(pool.Outside), "every ServiceCIDR that gives addresses")
		}
	}
}

func (a *auditor) poolFull(pool Object, family corev1.IPFamily) {
	number := "number"
	if family != "" {
		number = string(family) + " address"
	}
	a.find(Finding{
		Severity: Warning, Kind: PoolFull, Number: string(family), Objects: []Object{pool},
		Message: fmt.Sprintf("the pool has no free %s: Services that it is for get one of another pool, or are refused", number),
		Remedy:  "delete Services or reservations, or give the pool more",
	})
}

func (a *auditor) poolConflict(pool Object, with string, span inventory.Span) {
	a.find(Finding{
		Severity: Warning, Kind: PoolConflict, Number: span.String(), Objects: []Object{pool, {Kind: pool.Kind, Name: with}},
		Message: fmt.Sprintf("%s is in both pools, and belongs to %s, which has precedence", span, with),
		Remedy:  "take it out of one of them, or swap their priorities",
	})
}

func (a *auditor) poolOutside(pool Object, outside []inventory.Span, of string) {
	if len(outside) == 0 {
		return
	}
	texts := make([]string, 0, len(outside))
	for _, s := range outside {
		texts = append(texts, s.String())
	}
	text := strings.Join(texts, ", ")
	a.find(Finding{
		Severity: Warning, Kind: PoolOutOfRange, Number: text, Objects: []Object{pool},
		Message: fmt.Sprintf("%s lies outside of %s: it is given to nobody", text, of),
		Remedy:  "take it out of the pool, or extend the range",
	})
}

func (a *auditor) unreadable() {
	for _, u := range a.Unreadable {
		a.find(Finding{
			Severity: Warning, Kind: ObjectUnreadable, Objects: []Object{{Kind: u.Kind, Namespace: u.Namespace, Name: u.Name}},
			Message: fmt.Sprintf("it is ignored: %v", u.Err),
			Remedy:  "mend it or delete it",
		})
	}
}
