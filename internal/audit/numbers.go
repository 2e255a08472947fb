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
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/inventory"
)

// numbers finds those that several Services hold, that lie in no range, and that
// are reserved for others.
func (a *auditor) numbers() {
	reported := map[allocator.Number]bool{}
	for i := range a.Services {
		key := inventory.KeyOf(&a.Services[i])
		_, problems := a.Numbers.Problems(key)
		for _, p := range problems {
			switch {
			case p.OutOfRange():
				if a.rangeKnown(p.Number) {
					a.outOfRange(key, p)
				}
			case !reported[p.Number]:
				reported[p.Number] = true
				a.heldTwice(p.Number)
			}
		}
	}
}

// rangeKnown is false where the range is only assumed: what lies outside of it
// may well be inside the server's.
func (a *auditor) rangeKnown(n allocator.Number) bool {
	return !n.IsPort() || a.NodePorts.From != inventory.Assumed
}

func (a *auditor) heldTwice(n allocator.Number) {
	holders := a.Numbers.Holders(n)
	keeps, others := holders[0], holders[1:]
	free := ""
	if a.Has(inventory.Services) {
		free = fmt.Sprintf(" (%s)", a.freeFor(others[0].Service, n))
	}
	a.find(Finding{
		Severity: Error, Kind: NumberHeldTwice, Number: n.String(), number: n,
		Objects: services(holders, func(h allocator.Holder) types.NamespacedName { return h.Service }),
		Message: fmt.Sprintf("%s is held by %d Services: which of them its traffic reaches differs from node to node", what(n), len(holders)),
		Remedy:  fmt.Sprintf("%s is the oldest and keeps it; give another %s to %s%s", keeps.Service, fieldOf(others[0].Kind), names(others), free),
	})
}

// freeFor is what the Service may have instead.
func (a *auditor) freeFor(name types.NamespacedName, n allocator.Number) string {
	service, _ := a.Service(name)
	if service == nil {
		service = &corev1.Service{}
	}
	return a.Numbers.FreeFor(n, a.Namespaces[name.Namespace], service.Labels)
}

func names(holders []allocator.Holder) string {
	texts := make([]string, 0, len(holders))
	for _, h := range holders {
		texts = append(texts, h.Service.String())
	}
	return strings.Join(slices.Compact(texts), ", ")
}

func (a *auditor) outOfRange(key types.NamespacedName, p allocator.Problem) {
	remedy := "create the Service again, which gives it a ClusterIP that is, or a ServiceCIDR that contains it"
	if p.Number.IsPort() {
		remedy = "choose another, or extend the API server's --service-node-port-range"
	}
	a.find(Finding{
		Severity: Warning, Kind: NumberOutOfRange, Number: p.Number.String(), number: p.Number,
		Objects: []Object{Service(key)},
		Message: fmt.Sprintf("%s is not in %s: the API server did not allocate it, and may not keep it from others", what(p.Number), p.Range),
		Remedy:  remedy,
	})
}

// frontend is what a connection is made to.
type frontend struct {
	addr     netip.AddrPort
	protocol corev1.Protocol
}

func (f frontend) String() string { return f.addr.String() + "/" + string(f.protocol) }

func (f frontend) compare(other frontend) int {
	return cmp.Or(f.addr.Compare(other.addr), cmp.Compare(f.protocol, other.protocol))
}

// frontends finds external IPs and load-balancer addresses whose port another
// Service answers as well. Sharing an address is fine, sharing a port of it is not.
func (a *auditor) frontends() {
	all := map[frontend][]types.NamespacedName{}
	shareable := map[frontend]bool{}
	for i := range a.Services {
		service := &a.Services[i]
		add := func(addr netip.Addr, own bool) {
			for _, port := range service.Spec.Ports {
				f := frontend{netip.AddrPortFrom(addr, uint16(port.Port)), cmp.Or(port.Protocol, corev1.ProtocolTCP)}
				if key := inventory.KeyOf(service); !slices.Contains(all[f], key) {
					all[f] = append(all[f], key)
				}
				shareable[f] = shareable[f] || !own
			}
		}
		for _, ip := range allocator.ClusterIPsOf(service) {
			each(ip, func(addr netip.Addr) { add(addr, true) })
		}
		for _, used := range inventory.AddressesOf(service) {
			add(used.Addr, false)
		}
	}
	for _, f := range slices.SortedFunc(maps.Keys(all), frontend.compare) {
		if len(all[f]) > 1 && shareable[f] {
			a.frontendHeldTwice(f, all[f])
		}
	}
}

func (a *auditor) frontendHeldTwice(f frontend, holders []types.NamespacedName) {
	slices.SortFunc(holders, func(x, y types.NamespacedName) int { return cmp.Compare(x.String(), y.String()) })
	a.find(Finding{
		Severity: Error, Kind: FrontendHeldTwice, Number: f.String(), number: allocator.AddrNumber(f.addr.Addr()),
		Objects: services(holders, func(key types.NamespacedName) types.NamespacedName { return key }),
		Message: fmt.Sprintf("%s is a frontend of %d Services: which of them its traffic reaches differs from node to node", f, len(holders)),
		Remedy:  "give all but one of them another port, external IP or load-balancer address",
	})
}

// each calls visit with the address that the text is, if it is one.
func each(text string, visit func(netip.Addr)) {
	if addr, err := netip.ParseAddr(text); err == nil {
		visit(addr.Unmap())
	}
}

// kubernetesService is the API server's own, which no pool is for.
var kubernetesService = types.NamespacedName{Namespace: "default", Name: "kubernetes"}

// foreignPools finds numbers that are in a pool which is not for their Service.
func (a *auditor) foreignPools() {
	for i := range a.Services {
		service := &a.Services[i]
		key := inventory.KeyOf(service)
		if a.IsPlaceholder(service) || key == kubernetesService || terminating(service) {
			continue
		}
		namespace, own := a.Namespaces[service.Namespace], labels.Set(service.Labels)
		for _, holding := range allocator.HoldingsOf(service) {
			n := holding.Number
			if reservation, ok := a.Numbers.ReservationOf(n); ok && reservation.For(key) {
				continue
			}
			if n.IsPort() {
				if pool, ok := a.Numbers.PortPoolOf(n.Port); ok && !pool.Selects(namespace) {
					a.foreign(key, fieldOf(holding.Kind), n, Object{Kind: "PortPool", Name: pool.Name})
				}
				continue
			}
			a.foreignAddr(key, v1alpha1.UseClusterIP, n, namespace, own)
		}
		for _, used := range inventory.AddressesOf(service) {
			a.foreignAddr(key, used.Use, allocator.AddrNumber(used.Addr), namespace, own)
		}
	}
}

func (a *auditor) foreignAddr(key types.NamespacedName, use v1alpha1.AddressUse, n allocator.Number, namespace, service labels.Set) {
	for _, pool := range a.Numbers.AddrPoolsOf(n.Addr) {
		if pool.Use == use && !pool.Selects(namespace, service) {
			a.foreign(key, useText[use], n, Object{Kind: "AddressPool", Name: pool.Name})
		}
	}
}

var useText = map[v1alpha1.AddressUse]string{
	v1alpha1.UseClusterIP: "clusterIP", v1alpha1.UseLoadBalancer: "load-balancer address", v1alpha1.UseExternalIP: "external IP",
}

func (a *auditor) foreign(key types.NamespacedName, field string, n allocator.Number, pool Object) {
	a.find(Finding{
		Severity: Warning, Kind: NumberInForeignPool, Number: n.String(), number: n,
		Objects: []Object{Service(key), pool},
		Message: fmt.Sprintf("the %s %s is of %s, which does not select the Service", field, n, pool),
		Remedy:  fmt.Sprintf("give the Service another, or have the selectors of %s select it", pool),
	})
}
