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

package controllers

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/balancer"
)

// balancerDesk takes in what exists and says which claims and Services are to be
// looked at. It has no client. What comes before load is only kept for it.
type balancerDesk struct {
	class  balancer.Class
	book   *balancer.Book
	ledger *balancer.Ledger

	pools        poolShelf
	never        []allocator.AddrSpan
	reservations map[string]allocator.Reservation // by the name of the object
	uses         map[balancer.Source][]netip.Addr
	namespaces   map[string]labels.Set
	services     map[types.NamespacedName]*corev1.Service // ours, and those that were
	losses       map[types.NamespacedName][]balancer.Loss // not yet told
	disputes     disputes
	reloads      reloadPace
	reloading    bool // somebody else has changed a claim, and load is to come
}

// balancerRequest is one thing to look at: a Service, an address, or neither,
// which is a duty of the whole.
type balancerRequest struct {
	Service types.NamespacedName
	Addr    netip.Addr
	Duty    balancerDuty
}

type balancerDuty string

const (
	// takePools is for pools that were deleted some time ago.
	takePools balancerDuty = "pools"
	// reload begins anew with what is written: somebody else has changed a claim.
	reload balancerDuty = "reload"
)

func newBalancerDesk(class balancer.Class) *balancerDesk {
	return &balancerDesk{
		class: class, ledger: balancer.NewLedger(balancer.NewBook()), pools: poolShelf{}, reservations: map[string]allocator.Reservation{},
		uses: map[balancer.Source][]netip.Addr{}, namespaces: map[string]labels.Set{},
		services: map[types.NamespacedName]*corev1.Service{}, losses: map[types.NamespacedName][]balancer.Loss{},
		disputes: disputes{},
	}
}

// load takes in all Services and claims, which are newer than what came before.
func (d *balancerDesk) load(services []corev1.Service, records map[netip.Addr]balancer.Record) []balancerRequest {
	d.reloading = false
	d.ledger.ReadAll()
	listed := map[types.NamespacedName]types.UID{}
	for i := range services {
		listed[keyOf(&services[i])] = services[i].UID
	}
	for key, known := range d.services {
		if listed[key] != known.UID {
			d.ledger.GoneService(key, known.UID)
			delete(d.services, key)
		}
	}
	for i := range services {
		services[i].ManagedFields = nil // as in the cache
		d.note(&services[i])
	}
	d.ledger.LoadClaims(records)
	d.book = balancer.Open(balancer.World{
		Pools: d.pools.all(), Reservations: slices.Collect(maps.Values(d.reservations)), Never: d.never, Uses: d.uses,
		Services: d.readable(services), Claims: claimsIn(records),
	})
	d.ledger.Follow(d.book)
	requests := d.settle()
	for addr := range records {
		requests = append(requests, balancerRequest{Addr: addr})
	}
	for key := range d.services {
		requests = append(requests, balancerRequest{Service: key})
	}
	return requests
}

func claimsIn(records map[netip.Addr]balancer.Record) []balancer.Claim {
	var claims []balancer.Claim
	for addr, record := range records {
		claims = append(claims, balancer.Claim{Addr: addr, Holders: record.Holders})
	}
	return claims
}

// readable are the Services whose namespaces are known.
func (d *balancerDesk) readable(services []corev1.Service) []balancer.Service {
	var all []balancer.Service
	for i := range services {
		if namespace, known := d.namespaces[services[i].Namespace]; known {
			all = append(all, balancer.ServiceOf(&services[i], namespace, d.class))
		}
	}
	return all
}

// note keeps what is needed of a Service, and reports whether it is news.
func (d *balancerDesk) note(service *corev1.Service) bool {
	sight := balancer.SightOf(service, d.class)
	if !d.ledger.SawService(sight) {
		return false
	}
	source, addrs := balancer.UsesOfService(service, d.class)
	d.setUses(source, addrs)
	if sight.Served || sight.Condition != nil {
		d.services[sight.Key] = service
	} else {
		delete(d.services, sight.Key)
	}
	return true
}

func (d *balancerDesk) observeService(service *corev1.Service) []balancerRequest {
	if !d.note(service) {
		return nil
	}
	d.tellBook(service)
	return append(d.settle(), balancerRequest{Service: keyOf(service)})
}

func keyOf(service *corev1.Service) types.NamespacedName {
	return types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
}

func (d *balancerDesk) tellBook(service *corev1.Service) {
	if namespace, known := d.namespaces[service.Namespace]; known && d.book != nil {
		d.book.Observe(balancer.ServiceOf(service, namespace, d.class))
	}
}

func (d *balancerDesk) forgetService(service *corev1.Service) []balancerRequest {
	key := keyOf(service)
	if now := d.services[key]; now != nil && now.UID != service.UID {
		return nil // it was made again
	}
	d.ledger.GoneService(key, service.UID)
	d.setUses(balancer.Source{Kind: "Service", Name: key}, nil)
	delete(d.services, key)
	delete(d.losses, key)
	delete(d.disputes, key)
	if d.book != nil {
		d.book.Forget(key)
	}
	return d.settle()
}

func (d *balancerDesk) setUses(source balancer.Source, addrs []netip.Addr) {
	if slices.Equal(d.uses[source], addrs) {
		return
	}
	if delete(d.uses, source); len(addrs) > 0 {
		d.uses[source] = addrs
	}
	if d.book != nil {
		d.book.SetUses(source, addrs)
	}
}

// forgetLeases takes back what claims that can not be read have kept from others.
func (d *balancerDesk) forgetLeases() {
	for source := range d.uses {
		if source.Kind == "Lease" {
			d.setUses(source, nil)
		}
	}
}

func (d *balancerDesk) observeNode(node *corev1.Node) []balancerRequest {
	source, addrs := balancer.UsesOfNode(node)
	d.setUses(source, addrs)
	return d.settle()
}

func (d *balancerDesk) forgetNode(node *corev1.Node) []balancerRequest {
	source, _ := balancer.UsesOfNode(node)
	d.setUses(source, nil)
	return d.settle()
}

// observeNamespace decides anew about the Services there if the labels are others.
func (d *balancerDesk) observeNamespace(name string, now labels.Set) []balancerRequest {
	before, known := d.namespaces[name]
	if known && maps.Equal(before, now) {
		return nil
	}
	d.namespaces[name] = now
	for key, service := range d.services {
		if key.Namespace == name {
			d.tellBook(service)
		}
	}
	return d.settle()
}

func (d *balancerDesk) forgetNamespace(name string) { delete(d.namespaces, name) }

func (d *balancerDesk) observeReservation(reservation allocator.Reservation) []balancerRequest {
	d.reservations[reservation.Object] = reservation
	if d.book != nil {
		d.book.Reserve(reservation)
	}
	return d.settle()
}

func (d *balancerDesk) forgetReservation(name string) []balancerRequest {
	reservation, known := d.reservations[name]
	if delete(d.reservations, name); known && d.book != nil {
		d.book.Unreserve(reservation.Number.Addr)
	}
	return d.settle()
}

func (d *balancerDesk) observeServiceCIDRs(objects []networkingv1.ServiceCIDR) []balancerRequest {
	never := spansOf(objects)
	if slices.Equal(never, d.never) {
		return nil
	}
	if d.never = never; d.book != nil {
		d.book.SetNever(never)
	}
	return d.settle()
}

// spansOf are the addresses of ServiceCIDRs. What can not be read has none.
func spansOf(objects []networkingv1.ServiceCIDR) []allocator.AddrSpan {
	var spans []allocator.AddrSpan
	for i := range objects {
		for _, text := range objects[i].Spec.CIDRs {
			if prefix, err := netip.ParsePrefix(text); err == nil {
				spans = append(spans, allocator.SpanOfPrefix(prefix))
			}
		}
	}
	slices.SortFunc(spans, func(a, b allocator.AddrSpan) int { return a.First.Compare(b.First) })
	return spans
}

// observePools takes in the pools that there are. The wait is until those that have
// gone are to be looked at again.
func (d *balancerDesk) observePools(seen []poolSeen, now time.Time, grace time.Duration) (requests []balancerRequest, wait time.Duration) {
	changed, wait := d.pools.observe(seen, now, grace)
	if !changed || d.book == nil {
		return nil, wait
	}
	d.book.SetPools(d.pools.all())
	return d.settle(), wait
}

// settle says what is to be looked at after something has changed.
func (d *balancerDesk) settle() []balancerRequest {
	var requests []balancerRequest
	for _, addr := range d.ledger.Freed() {
		requests = append(requests, balancerRequest{Addr: addr})
	}
	if d.book != nil {
		outcome := d.book.Settle()
		for i := range outcome.Decisions {
			decision := &outcome.Decisions[i]
			requests = append(requests, balancerRequest{Service: decision.Service})
			d.lose(decision)
		}
		for i := range outcome.Claims {
			requests = append(requests, balancerRequest{Addr: outcome.Claims[i].Addr})
		}
	}
	return requests
}

// lose notes what the user is to be told, once: after a reload the Book says it again.
func (d *balancerDesk) lose(decision *balancer.Decision) {
	for _, loss := range decision.Lost {
		same := func(l balancer.Loss) bool { return l.Addr == loss.Addr && l.Reason == loss.Reason }
		if all := d.losses[decision.Service]; !slices.ContainsFunc(all, same) {
			d.losses[decision.Service] = append(all, loss)
		}
	}
}

// told is why a Service has lost addresses that it has not got back, once they are
// out of its status.
func (d *balancerDesk) told(key types.NamespacedName, status []netip.Addr) (losses []balancer.Loss) {
	all := d.losses[key]
	delete(d.losses, key)
	decision, _ := d.book.Decision(key)
	for _, loss := range all {
		switch {
		case slices.Contains(decision.Addrs, loss.Addr):
		case slices.Contains(status, loss.Addr):
			d.losses[key] = append(d.losses[key], loss)
		default:
			losses = append(losses, loss)
		}
	}
	return losses
}
