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
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// usedAddress is an address of a Service and what it is for.
type usedAddress struct {
	vip
	use v1alpha1.AddressUse
	// index is its place among the ClusterIPs.
	index int
}

// usedAddresses are those that a Service asks for, or has, in its spec. What a
// load-balancer controller wrote to the status is its own affair.
func usedAddresses(svc *corev1.Service) []usedAddress {
	if svc == nil {
		return nil
	}
	var used []usedAddress
	for _, v := range distinct(externalVIPs(svc)) {
		used = append(used, usedAddress{vip: v, use: v1alpha1.UseExternalIP})
	}
	for _, v := range distinct(requestedVIPs(svc)) {
		used = append(used, usedAddress{vip: v, use: v1alpha1.UseLoadBalancer})
	}
	if proxied(svc) {
		for i, addr := range clusterAddrs(svc) {
			at := vip{field.NewPath("spec", "clusterIPs").Index(i), addr.String(), addr}
			used = append(used, usedAddress{vip: at, use: v1alpha1.UseClusterIP, index: i})
		}
	}
	return used
}

// checkAddressPools is X5: who may use an address is decided by pools, once
// there is one for the use (CVE-2020-8554). A ClusterIP need not be in a pool.
func checkAddressPools(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	type held struct {
		addr netip.Addr
		use  v1alpha1.AddressUse
	}
	had := map[held]bool{}
	for _, used := range usedAddresses(change.Old) {
		had[held{used.addr, used.use}] = true
	}
	requester := poolRequester{change: change, world: world}
	var found []Finding
	for _, used := range usedAddresses(change.New) {
		if had[held{used.addr, used.use}] {
			continue
		}
		refusal, err := requester.mayUse(ctx, used.addr, used.use)
		if err != nil {
			return found, err
		}
		if refusal.detail != "" {
			asked := used.use != v1alpha1.UseClusterIP || !drawnClusterIP(change, used.index)
			found = append(found, refusal.finding(used.path, used.text, asked))
		}
		if len(found) >= maxFindings {
			break
		}
	}
	return found, nil
}

// poolRequester is a Service in front of the pools. What it needs of them is
// read once, and only if it asks for something.
type poolRequester struct {
	change    ServiceChange
	world     World
	pools     *Pools
	namespace labels.Set
}

// poolRefusal is why a Service may not have a number.
type poolRefusal struct {
	detail string
	// reserved is true where the number is kept for another.
	reserved bool
}

// finding is a warning where a pool forbids what nobody has asked for: the API
// server knows no pools, and where we do not choose for it, to refuse its choice
// would be to refuse Services at random.
func (r poolRefusal) finding(path *field.Path, value any, asked bool) Finding {
	switch {
	case asked:
		return Finding{Path: path, Value: value, Detail: r.detail}
	case r.reserved:
		return Finding{Path: path, Value: value, Detail: r.detail + "; the API server chose it: try again"}
	}
	return Finding{Path: path, Value: value, Detail: r.detail + "; the API server chose it", WarnOnly: true}
}

func (r *poolRequester) read(ctx context.Context) error {
	if r.pools != nil {
		return nil
	}
	pools, err := r.world.Pools(ctx)
	if err != nil {
		return err
	}
	r.pools = pools
	if len(pools.Addrs)+len(pools.Ports) == 0 {
		return nil
	}
	if r.namespace, err = r.world.NamespaceLabels(ctx, r.change.New.Namespace); err != nil {
		r.pools = nil
	}
	return err
}

// keptFor says for whom a number is kept.
func (r *poolRequester) keptFor(ctx context.Context, reservation *allocator.Reservation) string {
	name := "nobody"
	if reservation.Service.Name != "" {
		holder := &corev1.Service{}
		holder.Namespace, holder.Name = reservation.Service.Namespace, reservation.Service.Name
		name = r.world.NameOf(ctx, holder)
	}
	return fmt.Sprintf("reserved for %s (%s %s)", name, reservation.Kind(), reservation.Object)
}

// mayUse says why the Service may not have an address, or nothing.
func (r *poolRequester) mayUse(ctx context.Context, addr netip.Addr, use v1alpha1.AddressUse) (poolRefusal, error) {
	if err := r.read(ctx); err != nil {
		return poolRefusal{}, err
	}
	address, err := poolsOver(ctx, r.world, r.pools, addr, use)
	if err != nil {
		return poolRefusal{}, err
	}
	stands, pool := address.standingOf(r.change.New, r.change.Old, func(pool allocator.AddrPool) bool {
		return pool.Selects(r.namespace, r.change.New.Labels)
	})
	switch stands {
	case keptForAnother:
		return poolRefusal{detail: r.keptFor(ctx, address.reservation), reserved: true}, nil
	case ofAPoolForOthers:
		return poolRefusal{detail: fmt.Sprintf("this belongs to %s, which is not for this Service; %s",
			r.world.RangeNameOf(ctx, "AddressPool", pool.Name), r.addresses(use))}, nil
	case ofBalancers:
		return poolRefusal{detail: fmt.Sprintf("this belongs to %s, whose addresses are for Services of type LoadBalancer; %s",
			r.world.RangeNameOf(ctx, "AddressPool", pool.Name), r.addresses(use))}, nil
	case outsideAllPools:
		return poolRefusal{detail: fmt.Sprintf("this is in no AddressPool for %s; %s", use, r.addresses(use))}, nil
	case withoutAPool:
		return poolRefusal{detail: fmt.Sprintf("there is no AddressPool for %s, and the manager is told to require one; ask an administrator for a pool", use)}, nil
	}
	return poolRefusal{}, nil
}

// addresses says what the Service may use instead.
func (r *poolRequester) addresses(use v1alpha1.AddressUse) string {
	var texts []string
	for _, pool := range r.pools.AddrPoolsFor(use, r.namespace, r.change.New.Labels) {
		for _, span := range pool.Ranges {
			texts = append(texts, span.String())
		}
	}
	return instead("an address", "AddressPool", texts)
}

// ports says the same of node ports.
func (r *poolRequester) ports() string {
	var texts []string
	for _, pool := range r.pools.PortPoolsFor(r.namespace) {
		for _, span := range pool.Ranges {
			texts = append(texts, span.String())
		}
	}
	return instead("a port", "PortPool", texts)
}

// instead names a few of the ranges that a Service may use.
func instead(what, kind string, ranges []string) string {
	switch {
	case len(ranges) == 0:
		return fmt.Sprintf("no %s is for it: ask an administrator for one", kind)
	case len(ranges) > 3:
		ranges = append(slices.Clone(ranges[:3]), "...")
	}
	return fmt.Sprintf("use %s of %s", what, strings.Join(ranges, ", "))
}

// checkPortPools is X7: a port of a pool is for the namespaces it selects, and a
// namespace with pools has no other ports.
func checkPortPools(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	requester := poolRequester{change: change, world: world}
	var found []Finding
	for _, port := range newNodePorts(change) {
		refusal, err := requester.mayHave(ctx, port.key.Port)
		if err != nil {
			return found, err
		}
		if refusal.detail != "" {
			found = append(found, refusal.finding(port.path, port.key.Port, !drawn(change, port.of)))
		}
		if len(found) >= maxFindings {
			break
		}
	}
	return found, nil
}

// mayHave says why the Service may not have a node port, or nothing.
func (r *poolRequester) mayHave(ctx context.Context, port int32) (poolRefusal, error) {
	if err := r.read(ctx); err != nil {
		return poolRefusal{}, err
	}
	reservation, err := r.world.ReservationOf(ctx, allocator.PortNumber(port))
	switch {
	case err != nil:
		return poolRefusal{}, err
	case reservation == nil:
		return poolRefusal{detail: r.outsidePortPools(ctx, port)}, nil
	case reservation.For(types.NamespacedName{Namespace: r.change.New.Namespace, Name: r.change.New.Name}):
		return poolRefusal{}, nil
	}
	return poolRefusal{detail: r.keptFor(ctx, reservation), reserved: true}, nil
}

func (r *poolRequester) outsidePortPools(ctx context.Context, port int32) string {
	owner, owned := r.pools.PortPoolOf(port)
	switch {
	case owned && owner.Selects(r.namespace):
		return ""
	case owned && len(r.pools.PortPoolsFor(r.namespace)) == 0:
		return fmt.Sprintf("this belongs to %s, which is not for this namespace; use a port that is in no PortPool, or leave the choice to the server",
			r.world.RangeNameOf(ctx, "PortPool", owner.Name))
	case owned:
		return fmt.Sprintf("this belongs to %s, which is not for this namespace; %s",
			r.world.RangeNameOf(ctx, "PortPool", owner.Name), r.ports())
	case len(r.pools.PortPoolsFor(r.namespace)) > 0:
		return "this is outside the PortPools of this namespace; " + r.ports()
	}
	return ""
}
