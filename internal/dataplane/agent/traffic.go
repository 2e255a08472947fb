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

package agent

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// Counter reads how many connections each way into a Service has seen, an
// *nft.Table.
type Counter interface {
	Connections(ctx context.Context) (map[ruleset.Frontend]uint64, error)
}

// Traffic adds up what the kernel counts, by Service. It is a
// health.TrafficReader.
type Traffic struct {
	Agent *Agent
	// Counters are those of the families; Tracked reads the connections that
	// are tracked now, as conntrack.Traffic does.
	Counters map[model.Family]Counter
	Tracked  func(ctx context.Context, to []conntrack.Destination) (conntrack.Usages, error)
}

// ReadTraffic is part of health.TrafficReader.
func (t Traffic) ReadTraffic(ctx context.Context) ([]health.ServiceTraffic, error) {
	var all []health.ServiceTraffic
	for family, counter := range t.Counters {
		begun, err := counter.Connections(ctx)
		if err != nil {
			return nil, err
		}
		services := t.Agent.frontends(family)
		tracked, err := t.Tracked(ctx, slices.Collect(maps.Keys(services)))
		if err != nil {
			return nil, err
		}
		all = append(all, addUp(family, services, begun, tracked)...)
	}
	return all, nil
}

// addUp sums over the ways into each Service.
func addUp(family model.Family, services map[conntrack.Destination]types.NamespacedName,
	begun map[ruleset.Frontend]uint64, tracked conntrack.Usages,
) []health.ServiceTraffic {
	sums := map[types.NamespacedName]*health.ServiceTraffic{}
	for to, service := range services {
		sum := sums[service]
		if sum == nil {
			sum = &health.ServiceTraffic{Service: service, Family: family, Counted: tracked.Counted}
			sums[service] = sum
		}
		sum.Begun += begun[ruleset.Frontend(to)]
		usage := tracked.ByDestination[to]
		sum.Tracked.Connections += usage.Connections
		sum.Tracked.Packets += usage.Packets
		sum.Tracked.Bytes += usage.Bytes
	}
	list := make([]health.ServiceTraffic, 0, len(sums))
	for _, sum := range sums {
		list = append(list, *sum)
	}
	return list
}

// frontends are all ways into Services in one family, on this node.
func (a *Agent) frontends(family model.Family) map[conntrack.Destination]types.NamespacedName {
	a.mu.Lock()
	defer a.mu.Unlock()
	nodePorts := a.facts.Shape(family, a.Node).NodePortsAt(a.Features)
	found := map[conntrack.Destination]types.NamespacedName{}
	for _, name := range a.store.Names() {
		port, ok := a.store.ServicePort(name)
		if !ok {
			continue
		}
		add := func(addrs []netip.Addr, number uint16) {
			for _, addr := range addrs {
				if number != 0 && model.FamilyOf(addr) == family {
					to := conntrack.Destination{Protocol: name.Protocol, Addr: netip.AddrPortFrom(addr, number)}
					found[to] = types.NamespacedName{Namespace: name.Namespace, Name: name.Name}
				}
			}
		}
		add(port.ClusterIPs, port.Port)
		add(port.ExternalIPs, port.Port)
		add(port.LoadBalancerIPs, port.Port)
		add(slices.DeleteFunc(slices.Clone(nodePorts), func(addr netip.Addr) bool {
			_, isVIP := a.store.Owner(addr, name.Protocol, port.NodePort)
			return isVIP // and leads there
		}), port.NodePort)
	}
	return found
}
