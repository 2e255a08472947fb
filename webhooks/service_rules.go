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
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// serviceRule is a rule about Services with the function that judges it.
type serviceRule struct {
	Rule
	check func(ctx context.Context, world World, change ServiceChange) ([]Finding, error)
}

// serviceRules are asked in this order, on writes of the spec and of the
// status alike: a rule looks only at what the change adds, so that a status
// write has nothing for the rules about the spec and the other way round.
func serviceRules() []serviceRule {
	return []serviceRule{
		{RuleExternalIPInUse, checkExternalIPInUse},
		{RuleLoadBalancerIPInUse, checkLoadBalancerIPInUse},
		{RuleAddressReserved, checkAddressReserved},
		{RuleTargetPortMissing, checkTargetPorts},
		{RuleSelectorInUse, checkSelectorInUse},
	}
}

// ValidateService judges one change of a Service. The error says which rules
// could not be judged, not that one was broken; the verdict is that of the others.
func ValidateService(ctx context.Context, world World, severities Severities, change ServiceChange) (Verdict, error) {
	var verdict Verdict
	var errs []error
	for _, rule := range serviceRules() {
		errs = append(errs, judge(&verdict, rule.Rule, severities, func() ([]Finding, error) {
			return rule.check(ctx, world, change)
		}))
	}
	return verdict, errors.Join(errs...)
}

// checkExternalIPInUse is X1. Two Services that serve one external IP and port
// are resolved per node by chance (kubernetes/kubernetes#69599).
func checkExternalIPInUse(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	return frontendsInUse(ctx, world, change, externalVIPs(change.New))
}

// checkLoadBalancerIPInUse is X2: whatever controller gave the address, and an
// address asked for in spec.loadBalancerIP too.
func checkLoadBalancerIPInUse(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	return frontendsInUse(ctx, world, change, append(ingressVIPs(change.New), newRequest(change)...))
}

// newRequest is spec.loadBalancerIP where the change sets it.
func newRequest(change ServiceChange) []vip {
	if change.Old != nil && change.Old.Spec.LoadBalancerIP == change.New.Spec.LoadBalancerIP {
		return nil
	}
	return requestedVIP(change.New)
}

// frontendsInUse reports the frontends that the change adds and another
// Service already has. Their ports decide: one address may be shared.
func frontendsInUse(ctx context.Context, world World, change ServiceChange, vips []vip) ([]Finding, error) {
	var found []Finding
	held := heldFrontends(change.Old)
	for _, v := range vips {
		for _, frontend := range frontendsAt(change.New, v.addr) {
			if held[frontend] || len(found) >= maxFindings {
				continue
			}
			holders, err := world.ServicesByFrontend(ctx, frontend)
			if err != nil {
				return found, err
			}
			for _, holder := range change.others(holders) {
				if len(found) >= maxFindings {
					break
				}
				found = append(found, Finding{Path: v.path, Value: v.text, Detail: fmt.Sprintf(
					"%s already serves port %d/%s at this address; use another address or another port, or remove it there first",
					world.NameOf(ctx, holder), frontend.Port, frontend.Protocol)})
			}
		}
	}
	return found, nil
}

// checkAddressReserved is X3: traffic to such an address would be taken away
// from the cluster itself, or never arrive.
func checkAddressReserved(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	had := map[netip.Addr]bool{}
	for _, v := range outsideVIPs(change.Old) {
		had[v.addr] = true
	}
	// One live read answers for every address and port of the Service.
	servers := sync.OnceValues(func() ([]netip.AddrPort, error) { return world.APIServers(ctx) })
	var found []Finding
	for _, v := range outsideVIPs(change.New) {
		var detail string
		var err error
		if !had[v.addr] {
			detail, err = reservedFor(ctx, world, v.addr)
		}
		if err == nil && detail == "" {
			detail, err = apiServerPort(servers, change, v.addr)
		}
		if err != nil {
			return found, err
		}
		if detail != "" && len(found) < maxFindings {
			found = append(found, Finding{Path: v.path, Value: v.text,
				Detail: detail + "; use an address that is routed to the nodes from outside"})
		}
	}
	return found, nil
}

// outsideVIPs are all addresses a Service has, or asks for, by itself.
func outsideVIPs(svc *corev1.Service) []vip {
	return slices.Concat(externalVIPs(svc), ingressVIPs(svc), requestedVIP(svc))
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
			return fmt.Sprintf("this is inside %s of ServiceCIDR %s, from which ClusterIPs are given out", cidr.Prefix, cidr.Name), nil
		}
	}
	return "", nil
}

// apiServerPort compares address and port, not the address alone: on a small
// cluster a node's own address is a usual external IP, and the API server's
// node is one of them.
func apiServerPort(servers func() ([]netip.AddrPort, error), change ServiceChange, addr netip.Addr) (string, error) {
	held := heldFrontends(change.Old)
	for _, frontend := range frontendsAt(change.New, addr) {
		if held[frontend] || frontend.Protocol != corev1.ProtocolTCP {
			continue
		}
		known, err := servers()
		if err != nil {
			return "", err
		}
		if slices.Contains(known, netip.AddrPortFrom(addr, uint16(frontend.Port))) {
			return fmt.Sprintf("the Kubernetes API server answers at port %d of this address", frontend.Port), nil
		}
	}
	return "", nil
}
