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

package model

import (
	"net/netip"
	"slices"
	"time"
)

// ServicePort is one port of one proxied Service, in all its IP families.
// Values that share a Service share slices: they are read, never written.
type ServicePort struct {
	Name ServicePortName
	// Port is the port on each VIP, 1-65535.
	Port uint16
	// NodePort is the port on the node's own addresses, 0 for none.
	NodePort uint16
	// ClusterIPs holds at most one address of each family.
	ClusterIPs []netip.Addr
	// ExternalIPs are spec.externalIPs, sorted.
	ExternalIPs []netip.Addr
	// LoadBalancerIPs are the ingress addresses in status that this node must
	// capture (ipMode VIP or none), sorted.
	LoadBalancerIPs []netip.Addr
	// Pooled says that LoadBalancerIPs are from an AddressPool of this cluster, so
	// that nobody else has anything at them.
	Pooled bool

	Traffic Traffic
}

// Traffic is how a Service wants its connections treated, the same for all of
// its ports.
type Traffic struct {
	// InternalLocal and ExternalLocal are the traffic policies "Local".
	InternalLocal, ExternalLocal bool
	// Affinity is how long a client stays with its endpoint, 0 for none.
	Affinity time.Duration
	// AffinityScope says whom that binds.
	AffinityScope AffinityScope
	Scheduler     Scheduler
	// Weights are for the Weighted scheduler, nil when the Service has none.
	Weights *Weights
	// SourceRanges are the only clients of the load balancer's addresses; nil
	// means that all are welcome, empty that none is.
	SourceRanges []netip.Prefix
	// HealthCheckNodePort answers load balancers that ask for local endpoints,
	// 0 for none.
	HealthCheckNodePort uint16
}

func (p *ServicePort) equal(o *ServicePort) bool {
	return p.Name == o.Name && p.Port == o.Port && p.NodePort == o.NodePort &&
		slices.Equal(p.ClusterIPs, o.ClusterIPs) && slices.Equal(p.ExternalIPs, o.ExternalIPs) &&
		slices.Equal(p.LoadBalancerIPs, o.LoadBalancerIPs) && p.Pooled == o.Pooled && p.Traffic.equal(&o.Traffic)
}

func (t *Traffic) equal(o *Traffic) bool {
	return t.InternalLocal == o.InternalLocal && t.ExternalLocal == o.ExternalLocal &&
		t.Affinity == o.Affinity && t.AffinityScope == o.AffinityScope &&
		t.Scheduler == o.Scheduler && t.Weights.equal(o.Weights) &&
		(t.SourceRanges == nil) == (o.SourceRanges == nil) && slices.Equal(t.SourceRanges, o.SourceRanges) &&
		t.HealthCheckNodePort == o.HealthCheckNodePort
}

// ClusterIP is the Service's address of the family; ok is false when it has
// none, and then the Service is not proxied in that family.
func (p ServicePort) ClusterIP(family Family) (addr netip.Addr, ok bool) {
	for _, ip := range p.ClusterIPs {
		if FamilyOf(ip) == family {
			return ip, true
		}
	}
	return netip.Addr{}, false
}
