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

package explain

import (
	"net/netip"
	"slices"
	"strings"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// frontend is the way into a ServicePort that a packet takes.
type frontend struct {
	decision *policy.Decision
	kind     kind
}

type kind string

const (
	clusterIP      kind = "ClusterIP"
	externalIP     kind = "external IP"
	loadBalancerIP kind = "load balancer IP"
	nodePort       kind = "NodePort"
)

// capture finds the frontend of the destination. An address of a Service comes
// before a NodePort, should a node have it, too.
func (e *explanation) capture() (found frontend, ok bool) {
	to := e.Destination
	for i := range e.decisions {
		d := &e.decisions[i]
		if d.Name.Protocol != e.Protocol || d.Port != to.Port() {
			continue
		}
		if kind, ok := vipOf(d, to.Addr()); ok {
			return frontend{d, kind}, true
		}
	}
	if !e.answersNodePorts(to.Addr()) {
		return frontend{}, false
	}
	for i := range e.decisions {
		if d := &e.decisions[i]; d.Name.Protocol == e.Protocol && d.NodePort == to.Port() {
			return frontend{d, nodePort}, true
		}
	}
	return frontend{}, false
}

// vipOf says which of d's addresses addr is.
func vipOf(d *policy.Decision, addr netip.Addr) (kind kind, ok bool) {
	switch {
	case d.ClusterIP == addr:
		return clusterIP, true
	case slices.Contains(d.LoadBalancerIPs, addr):
		return loadBalancerIP, true
	case slices.Contains(d.ExternalIPs, addr):
		return externalIP, true
	}
	return "", false
}

func (e *explanation) answersNodePorts(addr netip.Addr) bool {
	localhost := e.Features.LocalhostNodePorts && addr.Is4() && addr.IsLoopback()
	return localhost || slices.Contains(e.World.Node.NodePortAddrs, addr)
}

// notCaptured says why the destination is nobody's.
func (e *explanation) notCaptured() Outcome {
	to := e.Destination
	services, kind := e.holders(to.Addr())
	forServices := within(e.World.Node.ServiceCIDRs, to.Addr())
	switch {
	case len(services) > 0:
		e.say("destination", "%s is the %s of %s, but no %s port %d is defined there; it has %s",
			to.Addr(), kind, serviceOf(services[0]), e.Protocol, to.Port(), portsOf(services))
		return e.anotherPort(to.Addr(), kind, forServices)
	case forServices:
		e.say("destination", "%s is in the cluster's service CIDR, but no Service that this node knows has it, so it is dropped", to.Addr())
		return Outcome{End: Dropped}
	case e.answersNodePorts(to.Addr()):
		e.say("destination", "%s is an address of this node, but no Service has %s NodePort %d", to.Addr(), e.Protocol, to.Port())
	default:
		e.say("destination", "no Service has the address %s", to.Addr())
	}
	return Outcome{End: PassedOn}
}

// anotherPort is how it ends at a port that the holder of an address lacks.
func (e *explanation) anotherPort(addr netip.Addr, kind kind, forServices bool) Outcome {
	switch {
	case kind == clusterIP:
		e.say("ports", "other ports of a ClusterIP are refused")
		return Outcome{End: Refused}
	case forServices:
		e.say("ports", "other ports of %ss are left to whoever has the address, but in the cluster's service CIDR nobody has: dropped", kind)
		return Outcome{End: Dropped}
	case e.Features.RefusePooled && e.pooled(addr) && !e.answersNodePorts(addr):
		e.say("ports", "the address is from an AddressPool and announced, so nobody else has it: other ports are refused")
		return Outcome{End: Refused}
	}
	e.say("ports", "other ports of %ss are left to whoever has the address", kind)
	return Outcome{End: PassedOn}
}

// pooled says whether a Service has addr from an AddressPool.
func (e *explanation) pooled(addr netip.Addr) bool {
	return slices.ContainsFunc(e.decisions, func(d policy.Decision) bool {
		return d.Pooled && slices.Contains(d.LoadBalancerIPs, addr)
	})
}

// holders are the ServicePorts that have addr, a ClusterIP before all others.
func (e *explanation) holders(addr netip.Addr) (holders []*policy.Decision, which kind) {
	for i := range e.decisions {
		d := &e.decisions[i]
		found, ok := vipOf(d, addr)
		if !ok || which == clusterIP && found != clusterIP {
			continue
		}
		if found == clusterIP && which != clusterIP {
			holders = nil
		}
		holders, which = append(holders, d), found
	}
	return holders, which
}

func serviceOf(d *policy.Decision) string {
	return "Service " + d.Name.Namespace + "/" + d.Name.Name
}

// portsOf names the ports of Services, as in "TCP 80, UDP 53".
func portsOf(decisions []*policy.Decision) string {
	var list []string
	for _, d := range decisions {
		list = append(list, portText(d.Name.Protocol, d.Port))
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ", ")
}

func portText(protocol model.Protocol, port uint16) string {
	return protocol.String() + " " + itoa(port)
}
