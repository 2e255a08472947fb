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

package who

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/placeholder"
)

// State sums an answer up.
type State string

// The states of a number.
const (
	// Held is held by one Service, and nothing is wrong with that; or, of an
	// address that is no ClusterIP, by several that may share it.
	Held State = "Held"
	// Free can be had.
	Free State = "Free"
	// Reserved is kept for a Service, or from everybody, and held by none.
	Reserved State = "Reserved"
	// Claimed is chosen for a request that is under way.
	Claimed State = "Claimed"
	// Kept is held by an IPAddress for what is no Service.
	Kept State = "Kept"
	// Outside is held by no Service, and given to none: it is in no range of the API
	// server, and in no pool of addresses that it does not give itself.
	Outside State = "Outside"
	// Unknown is held by no Service that the user may list, and perhaps by another.
	Unknown State = "Unknown"
	// Conflict is a number that something is wrong with.
	Conflict State = "Conflict"
)

// Answer is all about one number.
type Answer struct {
	Number string `json:"number"`
	State  State  `json:"state"`
	// Range is that of the API server which has it, if one has.
	Range string `json:"range,omitempty"`
	// ServiceCIDR is the name of the object where Range is one.
	ServiceCIDR string `json:"serviceCIDR,omitempty"`
	// Holders are the Services that have it, oldest first.
	Holders []Holder `json:"holders"`
	// Pools are those it belongs to, at most one for each use.
	Pools []Pool `json:"pools"`
	// Reservation is that of the number.
	Reservation *Reservation `json:"reservation,omitempty"`
	// Claim is that of a request under way.
	Claim *Claim `json:"claim,omitempty"`
	// KeptBy is what the API server's IPAddress names, where that is no Service.
	KeptBy string `json:"keptBy,omitempty"`
	// AnnouncedBy is the node that answers for a load balancer's address on the
	// network, at layer 2.
	AnnouncedBy string `json:"announcedBy,omitempty"`
	// Unannounced tells that none does, although nodes announce addresses.
	Unannounced bool `json:"unannounced,omitempty"`
	// Conflicts are what `switchyard audit` says about it.
	Conflicts []audit.Finding `json:"conflicts"`
	// FreeNearby are free numbers of the same pool, or of the range without pools.
	FreeNearby []string           `json:"freeNearby"`
	NotRead    []inventory.Unread `json:"notRead"`
}

// Holder is a Service with the field that has the number.
type Holder struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Field is the path in the Service: spec.ports[1].nodePort.
	Field string `json:"field"`
	// Ports are those of the Service that go with it.
	Ports []Port `json:"ports"`
	// Since is when the Service was created, or when the API server recorded the
	// address for it, and SinceOf says which: Service or IPAddress.
	Since   time.Time `json:"since"`
	SinceOf string    `json:"sinceOf"`
}

// Service is its name.
func (h Holder) Service() types.NamespacedName {
	return types.NamespacedName{Namespace: h.Namespace, Name: h.Name}
}

// Port is one of a Service.
type Port struct {
	Name     string          `json:"name,omitempty"`
	Port     int32           `json:"port"`
	Protocol corev1.Protocol `json:"protocol"`
}

// Pool is one that has the number.
type Pool struct {
	Kind string              `json:"kind"`
	Name string              `json:"name"`
	Use  v1alpha1.AddressUse `json:"use,omitempty"`
	// Namespaces and Services are its selectors; "" selects all.
	Namespaces string `json:"namespaceSelector"`
	Services   string `json:"serviceSelector,omitempty"`
}

// Reservation is a PortReservation or AddressReservation.
type Reservation struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Number string `json:"number"`
	// Namespace and Service name the only Service that gets it; empty for nobody.
	Namespace string   `json:"namespace,omitempty"`
	Service   string   `json:"service,omitempty"`
	Ports     []string `json:"portNames,omitempty"`
	// HealthCheck is for spec.healthCheckNodePort.
	HealthCheck bool      `json:"healthCheck,omitempty"`
	Since       time.Time `json:"since"`
	// Holding is Service, Placeholder, Nothing or Unknown: what keeps others away
	// while Switchyard's webhook does not answer.
	Holding Holding `json:"holding"`
}

// Holding is what keeps others from a reserved number.
type Holding string

// What keeps others from a reserved number.
const (
	ByService     Holding = "Service"
	ByPlaceholder Holding = "Placeholder"
	ByNothing     Holding = "Nothing"
	// NotKnown is for who may not list what could do so.
	NotKnown Holding = "Unknown"
)

// Claim is one of a request under way.
type Claim struct {
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name,omitempty"`
	Since     time.Time `json:"since"`
}

// Asker answers questions about one inventory.
type Asker struct {
	*inventory.Index
	findings []audit.Finding
}

// New prepares answers. Report is what is known to be wrong.
func New(x *inventory.Index, report audit.Report) Asker {
	return Asker{Index: x, findings: report.Findings}
}

// Number answers whose it is.
func (a Asker) Number(n allocator.Number) Answer {
	answer := Answer{
		Number: n.String(), Holders: a.holders(n), Pools: a.pools(n), KeptBy: a.keptBy(n),
		Conflicts: []audit.Finding{}, NotRead: append([]inventory.Unread{}, a.Unread...),
	}
	if !n.IsPort() {
		answer.AnnouncedBy = a.AnnouncedBy[n.Addr]
		_, answer.Unannounced = a.Unannounced[n.Addr]
	}
	if r, ok := a.RangeOf(n); ok {
		answer.Range, answer.ServiceCIDR = r.Text, r.ServiceCIDR
	}
	if r, ok := a.Numbers.ReservationOf(n); ok {
		answer.Reservation = a.reservation(r)
	}
	if claim, ok := a.Claimed[n]; ok && len(answer.Holders) == 0 {
		answer.Claim = &Claim{Namespace: claim.Service.Namespace, Name: claim.Service.Name, Since: claim.Created}
	}
	for _, f := range a.findings {
		if f.About(n) {
			answer.Conflicts = append(answer.Conflicts, f)
		}
	}
	answer.FreeNearby = a.nearby(n)
	answer.State = answer.state(a.given(answer, n), a.Has(inventory.Services))
	return answer
}

// given tells whether anybody gives the number to Services. A pool can have ports
// and ClusterIPs that the API server does not give.
func (a Asker) given(answer Answer, n allocator.Number) bool {
	if answer.Range != "" {
		return true
	}
	if n.IsPort() {
		return len(answer.Pools) > 0 && a.NodePorts.From == inventory.Assumed
	}
	return slices.ContainsFunc(answer.Pools, func(p Pool) bool { return p.Use != v1alpha1.UseClusterIP || !a.Has(inventory.ServiceCIDRs) })
}

// state sums up. All tells that the Services of all namespaces were read; without
// them an IPAddress is the only thing that says that a number is no Service's.
func (a Answer) state(given, all bool) State {
	switch {
	case len(a.Conflicts) > 0:
		return Conflict
	case len(a.Holders) > 0:
		return Held
	case !all && a.KeptBy == "":
		return Unknown
	case a.Reservation != nil:
		return Reserved
	case a.Claim != nil:
		return Claimed
	case a.KeptBy != "":
		return Kept
	case !given:
		return Outside
	}
	return Free
}

func (a Asker) holders(n allocator.Number) []Holder {
	holders := []Holder{}
	for _, h := range a.Numbers.Holders(n) {
		if service, ok := a.Service(h.Service); ok {
			holders = append(holders, a.fields(service, n)...)
		}
	}
	if n.IsPort() {
		return slices.CompactFunc(holders, sameField)
	}
	for _, user := range a.Numbers.AddressUsers(n.Addr) {
		if service, ok := a.Service(user.Service); ok {
			if used := (inventory.Address{Use: user.Use, Addr: n.Addr}); slices.Contains(inventory.AddressesOf(service), used) {
				holders = append(holders, addressFields(service, user.Use, n)...)
			}
		}
	}
	return slices.CompactFunc(holders, sameField)
}

func sameField(a, b Holder) bool { return a.Service() == b.Service() && a.Field == b.Field }

func (a Asker) pools(n allocator.Number) []Pool {
	pools := []Pool{}
	if n.IsPort() {
		if pool, ok := a.Numbers.PortPoolOf(n.Port); ok {
			pools = append(pools, Pool{Kind: "PortPool", Name: pool.Name, Namespaces: text(pool.Namespaces)})
		}
		return pools
	}
	for _, pool := range a.Numbers.AddrPoolsOf(n.Addr) {
		pools = append(pools, Pool{
			Kind: "AddressPool", Name: pool.Name, Use: pool.Use,
			Namespaces: text(pool.Namespaces), Services: text(pool.Services),
		})
	}
	return pools
}

func text(selector interface{ String() string }) string {
	if selector == nil {
		return ""
	}
	return selector.String()
}

func (a Asker) keptBy(n allocator.Number) string {
	address, ok := a.Addresses[n]
	if !ok {
		return ""
	}
	parent := placeholder.TakenError{Number: n, Parent: address.Spec.ParentRef}
	if _, isService := parent.Service(); isService {
		return ""
	}
	return parent.Holder()
}

func (a Asker) reservation(r allocator.Reservation) *Reservation {
	holding := ByNothing
	holders := a.Numbers.Holders(r.Number)
	switch {
	case slices.ContainsFunc(holders, func(h allocator.Holder) bool { return r.For(h.Service) }), !r.Number.IsPort() && a.usedBy(r):
		holding = ByService
	case len(holders) == 0 && a.HeldFor(r.Number):
		holding = ByPlaceholder
	case !a.Has(inventory.Services) || !r.Number.IsPort() && !a.Has(inventory.IPAddresses):
		holding = NotKnown
	}
	return &Reservation{
		Kind: r.Kind(), Name: r.Object, Number: r.Number.String(), Namespace: r.Service.Namespace, Service: r.Service.Name,
		Ports: r.PortNames, HealthCheck: r.HealthCheck, Since: r.Created, Holding: holding,
	}
}

// usedBy tells whether the Service has the address as one of a load balancer.
func (a Asker) usedBy(r allocator.Reservation) bool {
	return slices.ContainsFunc(a.Numbers.AddressUsers(r.Number.Addr), func(u allocator.AddressUser) bool { return r.For(u.Service) })
}

// freeRuns is how many runs of free numbers are named.
const freeRuns = 3

// nearby are the runs of free numbers that are nearest, in order.
func (a Asker) nearby(n allocator.Number) []string {
	if !a.Has(inventory.Services) {
		return []string{} // others may have them
	}
	home, use := a.home(n)
	reserved, claimed := a.Kept()
	taken := slices.Concat(a.Used(use), reserved, claimed)
	free := inventory.Without(home, inventory.Points(taken))
	at, _ := slices.BinarySearchFunc(free, n, func(s inventory.Span, n allocator.Number) int { return s.Last.Compare(n) })
	// Two after it and one before, or what there is.
	last := min(len(free), max(at+freeRuns-1, freeRuns))
	nearest := free[max(0, last-freeRuns):last]
	runs := make([]string, 0, len(nearest))
	for _, s := range nearest {
		runs = append(runs, s.String())
	}
	return runs
}

// home is where another number like this one would be from, and for what: its
// own pool, or the range without what pools have.
func (a Asker) home(n allocator.Number) ([]inventory.Span, v1alpha1.AddressUse) {
	r, ranged := a.RangeOf(n)
	var pooled []inventory.Span
	if n.IsPort() {
		for _, view := range a.Numbers.PortPools() {
			spans := inventory.PortSpans(view.Effective...)
			if inventory.Contain(spans, n) {
				return inventory.Without(spans, inventory.PortSpans(view.Outside...)), ""
			}
			pooled = append(pooled, spans...)
		}
		r, ranged = a.Ranges()[0], true
	}
	for _, view := range a.Numbers.AddrPools() {
		spans := inventory.AddrSpans(view.Effective)
		switch {
		case n.IsPort():
		case inventory.Contain(spans, n) && (view.Use != v1alpha1.UseClusterIP || ranged):
			return inventory.Without(spans, inventory.AddrSpans(view.Outside)), view.Use
		case view.Use == v1alpha1.UseClusterIP:
			pooled = append(pooled, spans...)
		}
	}
	if !ranged {
		return nil, v1alpha1.UseClusterIP
	}
	slices.SortFunc(pooled, func(a, b inventory.Span) int { return a.First.Compare(b.First) })
	if n.IsPort() {
		return inventory.Without([]inventory.Span{r.Span}, pooled), ""
	}
	return inventory.Without([]inventory.Span{r.Span}, pooled), v1alpha1.UseClusterIP
}

func protocol(p corev1.Protocol) corev1.Protocol { return cmp.Or(p, corev1.ProtocolTCP) }
