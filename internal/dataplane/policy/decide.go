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

package policy

import (
	"net/netip"
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Decide settles how one ServicePort is treated in one family at one place,
// given its endpoints of that family as package model merges them. ok is false
// when the Service is not proxied in the family: it has no ClusterIP there.
func Decide(port model.ServicePort, endpoints []model.Endpoint, family model.Family, place Place) (decision Decision, ok bool) {
	clusterIP, ok := port.ClusterIP(family)
	if !ok {
		return Decision{}, false
	}
	d := Decision{
		Name:      port.Name,
		Family:    family,
		Port:      port.Port,
		ClusterIP: clusterIP,
		NodePort:  port.NodePort,
		Scheduler: port.Traffic.Scheduler,
		Affinity:  port.Traffic.Affinity,
	}
	if d.Affinity != 0 {
		d.AffinityScope = port.Traffic.AffinityScope
	}
	d.LoadBalancerIPs = ofFamily(port.LoadBalancerIPs, family)
	d.Pooled = port.Pooled && len(d.LoadBalancerIPs) > 0
	d.ExternalIPs = without(ofFamily(port.ExternalIPs, family), d.LoadBalancerIPs)
	d.SourceRanges = sourceRanges(port.Traffic.SourceRanges, d.LoadBalancerIPs, family, place)
	d.scopes(port.Traffic)
	d.lists(endpoints, place)
	d.Weights = weights(port, endpoints, d)
	return d, true
}

// Decider settles what a store has for one family at one place, one ServicePort
// at a time.
type Decider struct {
	Store  *model.Store
	Family model.Family
	Place  Place

	buffer []model.Endpoint // a Decision keeps addresses only
}

// Decide is Decide for the named ServicePort. ok is false when it does not
// exist, too.
func (d *Decider) Decide(name model.ServicePortName) (decision Decision, ok bool) {
	port, ok := d.Store.ServicePort(name)
	if !ok {
		return Decision{}, false
	}
	d.buffer = d.Store.AppendEndpoints(d.buffer[:0], name, d.Family)
	decision, ok = Decide(port, d.buffer, d.Family, d.Place)
	if ok {
		decision.spare(d.Store.Orphans(name, d.Family))
	}
	return decision, ok
}

// spare adds to the endpoints that may hold flows those that are half of a
// rename: slices list them under the port's old name, or its next one. Flows to
// them would otherwise be taken for stale until the other half is here, and of
// many slices it comes one by one.
func (d *Decision) spare(orphans []netip.AddrPort) {
	if len(orphans) == 0 {
		return
	}
	known := slices.Concat(d.Known, orphans) // Known may be shared with Cluster
	slices.SortFunc(known, netip.AddrPort.Compare)
	d.Known = slices.Compact(known)
}

// DecideAll settles all that store has for one family at one place, in the
// order of names.
func DecideAll(store *model.Store, family model.Family, place Place) []Decision {
	names := store.Names()
	decisions := make([]Decision, 0, len(names))
	decider := Decider{Store: store, Family: family, Place: place}
	for _, name := range names {
		if decision, ok := decider.Decide(name); ok {
			decisions = append(decisions, decision)
		}
	}
	return decisions
}

// scopes applies the traffic policies. A policy for external destinations
// means nothing to a ServicePort that has none.
func (d *Decision) scopes(traffic model.Traffic) {
	if traffic.InternalLocal {
		d.Internal = LocalScope
	}
	if traffic.ExternalLocal && d.reachableFromOutside() {
		d.External = LocalScope
	}
}

func (d *Decision) reachableFromOutside() bool {
	return d.NodePort != 0 || len(d.ExternalIPs) > 0 || len(d.LoadBalancerIPs) > 0
}

// ofFamily is the sorted addresses of one family, sorted.
func ofFamily(addrs []netip.Addr, family model.Family) []netip.Addr {
	return keepAddrs(addrs, func(addr netip.Addr) bool { return model.FamilyOf(addr) == family })
}

func without(addrs, unwanted []netip.Addr) []netip.Addr {
	return keepAddrs(addrs, func(addr netip.Addr) bool { return !slices.Contains(unwanted, addr) })
}

// keepAddrs leaves addrs, which may be shared, as they are.
func keepAddrs(addrs []netip.Addr, keep func(netip.Addr) bool) []netip.Addr {
	var kept []netip.Addr
	for _, addr := range addrs {
		if keep(addr) {
			kept = append(kept, addr)
		}
	}
	return kept
}
