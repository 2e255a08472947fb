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
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// serviceRule is a rule about Services with the function that judges it.
type serviceRule struct {
	Rule
	check func(ctx context.Context, world World, change ServiceChange) ([]Finding, error)
}

// serviceRules are asked in this order, on writes of the spec and of the
// status alike: a rule looks only at what the change adds, so that a status
// write has nothing for the rules about the spec and the other way round. Who
// may use a number comes first: it costs least, and bounds what others can ask for.
func serviceRules() []serviceRule {
	return []serviceRule{
		{RuleAddressPool, checkAddressPools},
		{RulePortPool, checkPortPools},
		{RuleExternalIPInUse, checkExternalIPInUse},
		{RuleLoadBalancerIPInUse, checkLoadBalancerIPInUse},
		{RuleAddressReserved, checkAddressReserved},
		{RuleAddressOfNode, checkAddressOfNode},
		{RuleHostPort, checkHostPorts},
		{RuleNodePortHeld, checkNodePortHeld},
		{RuleExternalIPOfNode, checkExternalIPOfNode},
		{RuleTargetPortMissing, checkTargetPorts},
		{RuleSelectorInUse, checkSelector},
		{RuleFamilyMissing, checkFamilies},
		{RuleEnvironment, checkEnvironment},
		{RuleExternalNameTarget, checkExternalName},
		{RuleHostname, checkHostnames},
		{RuleLoadBalancerClass, checkLoadBalancerClass},
		{RuleSharing, checkSharing},
	}
}

// ValidateService judges one change of a Service. The error says which rules
// could not be judged, not that one was broken; the verdict is that of the others.
func ValidateService(ctx context.Context, world World, severities Severities, change ServiceChange) (Verdict, error) {
	var verdict Verdict
	if added, last := newAddresses(change); added > maxNewAddresses {
		verdict.Errors = field.ErrorList{tooMany(last, added, "addresses", maxNewAddresses)}
		return verdict, nil
	}
	if ports := newNodePorts(change); len(ports) > maxNewNodePorts {
		verdict.Errors = field.ErrorList{tooMany(field.NewPath("spec", "ports"), len(ports), "node ports", maxNewNodePorts)}
		return verdict, nil
	}
	world = readOnce(world)
	large := change.size() > largeChange
	var errs []error
	for _, rule := range serviceRules() {
		if large && len(verdict.Errors) > 0 {
			break // One reason is enough for what costs so much.
		}
		errs = append(errs, judge(ctx, &verdict, rule.Rule, severities, func() ([]Finding, error) {
			return rule.check(ctx, world, change)
		}))
	}
	return verdict, errors.Join(errs...)
}

// maxNewAddresses is how many addresses one change of a Service may add to be
// judged. The API server has no limit but the size of the object, and a Service
// rarely has more than a few.
const maxNewAddresses = 100

// maxNewNodePorts is the same of node ports, of which a cluster has 2768 unless
// told otherwise.
const maxNewNodePorts = 1000

// size is how many addresses and ports of a Service rules look at: those that the
// change adds, and where it adds ports every address.
func (c ServiceChange) size() int {
	size, _ := newAddresses(c)
	if len(portsOf(c.New).without(portsOf(c.Old))) > 0 {
		size = len(outsideVIPs(c.New))
	}
	return size + len(newNodePorts(c))
}

// newAddresses counts the external and load-balancer addresses that a change adds.
func newAddresses(change ServiceChange) (int, *field.Path) {
	had := addrsOf(outsideVIPs(change.Old))
	var added int
	var last *field.Path
	for _, v := range distinct(outsideVIPs(change.New)) {
		if !had[v.addr] {
			added, last = added+1, v.path
		}
	}
	return added, last
}

// checkExternalIPInUse is X1. Two Services that serve one external IP and port
// are resolved per node by chance (kubernetes/kubernetes#69599).
func checkExternalIPInUse(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	return portsInUse(ctx, world, change, externalVIPs(change.New), addedPorts(change), whoHolds)
}

// checkLoadBalancerIPInUse is X2: whatever controller gave the address. One that
// is asked for, as in spec.loadBalancerIP, is refused where another has it, or asks for
// it and may get it: of two that wait only one could. An address that is given is not
// refused because of one who waits, who may wait for ever.
func checkLoadBalancerIPInUse(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	found, err := portsInUse(ctx, world, change, ingressVIPs(change.New), addedPorts(change), whoHolds)
	if err != nil || len(found) > 0 {
		return found, err
	}
	asked := portsBeyond(change, addrsOf(requestedVIPs(change.Old)))
	return portsInUse(ctx, world, change, requestedVIPs(change.New), asked, whoHoldsOrWaits)
}

// portsInUse reports the ports that the change brings to an address where another
// Service that counts already has them. One address may be shared by different ports.
func portsInUse(ctx context.Context, world World, change ServiceChange, vips []vip,
	added func(netip.Addr) Ports, counting func(context.Context, World, netip.Addr) (claimant, error)) ([]Finding, error) {
	var found []Finding
	for _, v := range distinct(vips) {
		ports := added(v.addr)
		if len(ports) == 0 {
			continue
		}
		counts, err := counting(ctx, world, v.addr)
		if err != nil {
			return found, err
		}
		holders, err := world.ServicesByVIP(ctx, v.addr, func(svc *corev1.Service) bool {
			_, serves := ports.servedBy(svc)
			return serves && !change.is(svc) && counts(svc)
		})
		if err != nil {
			return found, err
		}
		for _, holder := range holders {
			if len(found) >= maxFindings {
				return found, nil
			}
			found = append(found, Finding{Path: v.path, Value: v.text, Detail: fmt.Sprintf(
				"%s already %s; use another address or another port, or remove it there first",
				world.NameOf(ctx, holder), portAt(holder, v.addr, ports))})
		}
	}
	return found, nil
}

// portAt says what a Service does with a port at an address.
func portAt(svc *corev1.Service, addr netip.Addr, ports Ports) string {
	port, _ := ports.servedBy(svc)
	if heldAddrs(svc)[addr] {
		return fmt.Sprintf("serves port %s at this address", port)
	}
	return fmt.Sprintf("waits for this address with port %s", port)
}

// addedPorts says which ports a change brings to an address.
func addedPorts(change ServiceChange) func(netip.Addr) Ports {
	return portsBeyond(change, heldAddrs(change.Old))
}

// portsBeyond are all ports at an address that the Service did not have, and
// those that are new at one that it had.
func portsBeyond(change ServiceChange, had map[netip.Addr]bool) func(netip.Addr) Ports {
	all := portsOf(change.New)
	more := all.without(portsOf(change.Old))
	return func(addr netip.Addr) Ports {
		if had[addr] {
			return more
		}
		return all
	}
}

// distinct leaves out the repetitions of a list.
func distinct(vips []vip) []vip {
	seen := make(map[netip.Addr]bool, len(vips))
	var once []vip
	for _, v := range vips {
		if !seen[v.addr] {
			seen[v.addr] = true
			once = append(once, v)
		}
	}
	return once
}

// checkAddressReserved is X3: traffic to such an address would be taken away
// from the cluster itself, or never arrive.
func checkAddressReserved(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	had, added, own := hadForItsUse(change), addedPorts(change), ownClusterIPs(change.New)
	var found []Finding
	for _, v := range distinct(outsideVIPs(change.New)) {
		var detail string
		var err error
		if !had(v.addr) && !own[v.addr] {
			detail, err = reservedFor(ctx, world, v.addr)
		}
		if err == nil && detail == "" {
			detail, err = apiServerPort(ctx, world, v.addr, added(v.addr))
		}
		if err != nil {
			return found, err
		}
		if detail != "" {
			found = append(found, Finding{Path: v.path, Value: v.text,
				Detail: detail + "; use an address that is routed to the nodes from outside"})
		}
		if len(found) >= maxFindings {
			break
		}
	}
	return found, nil
}

// outsideVIPs are all addresses a Service has, or asks for, by itself.
func outsideVIPs(svc *corev1.Service) []vip {
	return slices.Concat(externalVIPs(svc), ingressVIPs(svc), requestedVIPs(svc))
}

// hadForItsUse tells whether the Service had an address before and is to have it
// for no more than then: that a load balancer has it, which may be a node's own
// address, does not make it an external IP.
func hadForItsUse(change ServiceChange) func(netip.Addr) bool {
	external, hadExternal := addrsOf(externalVIPs(change.New)), addrsOf(externalVIPs(change.Old))
	had := addrsOf(outsideVIPs(change.Old))
	return func(addr netip.Addr) bool {
		if external[addr] {
			return hadExternal[addr]
		}
		return had[addr]
	}
}

// ownClusterIPs are those that a load balancer says to be its address as well, as
// minikube tunnel does, which routes them from outside. That takes nothing from
// anybody.
func ownClusterIPs(svc *corev1.Service) map[netip.Addr]bool {
	own, external := map[netip.Addr]bool{}, addrsOf(externalVIPs(svc))
	for _, v := range ingressVIPs(svc) {
		own[v.addr] = !external[v.addr] && slices.Contains(clusterAddrs(svc), v.addr)
	}
	return own
}

func addrsOf(vips []vip) map[netip.Addr]bool {
	addrs := make(map[netip.Addr]bool, len(vips))
	for _, v := range vips {
		addrs[v.addr] = true
	}
	return addrs
}

// reservedFor says whose an address inside the cluster is, or nothing.
func reservedFor(ctx context.Context, world World, addr netip.Addr) (string, error) {
	holders, err := world.ServicesByClusterIP(ctx, addr)
	if err != nil {
		return "", err
	}
	if len(holders) > 0 {
		return "this is the ClusterIP of " + world.NameOf(ctx, holders[0]), nil
	}
	cidrs, err := world.ServiceCIDRs(ctx)
	if err != nil {
		return "", err
	}
	for _, cidr := range cidrs {
		if cidr.Prefix.Contains(addr) {
			return fmt.Sprintf("this is inside %s of %s, from which ClusterIPs are given out", cidr.Prefix, world.RangeNameOf(ctx, "ServiceCIDR", cidr.Name)), nil
		}
	}
	return "", nil
}

// apiServerPort compares address and port, not the address alone: on a small
// cluster a node's own address is a usual external IP, and the API server's
// node is one of them.
func apiServerPort(ctx context.Context, world World, addr netip.Addr, ports Ports) (string, error) {
	if !hasTCP(ports) {
		return "", nil
	}
	known, err := world.APIServers(ctx)
	if err != nil {
		return "", err
	}
	for _, server := range known {
		if server.Addr() == addr && ports[PortKey{int32(server.Port()), corev1.ProtocolTCP}] {
			return fmt.Sprintf("the Kubernetes API server answers at port %d of this address", server.Port()), nil
		}
	}
	return "", nil
}

func hasTCP(ports Ports) bool {
	for port := range ports {
		if port.Protocol == corev1.ProtocolTCP {
			return true
		}
	}
	return false
}
