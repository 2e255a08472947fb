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

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// backendRule is a rule about Endpoints and EndpointSlices.
type backendRule struct {
	Rule
	check func(ctx context.Context, world World, change BackendChange) ([]Finding, error)
}

func backendRules() []backendRule {
	return []backendRule{
		{RuleForeignPod, checkForeignPods},
		{RuleEndpointIsService, checkEndpointIsService},
		{RuleSliceUnmanaged, checkSliceUnmanaged},
	}
}

// maxNewBackends is how many addresses one change may add to be judged. An
// EndpointSlice of the API has 1000 endpoints, each nearly always of one address,
// and no more of a subset of Endpoints are mirrored.
const maxNewBackends = 1000

// ValidateBackends judges what a change adds to an Endpoints or EndpointSlice
// object. The error says which rules could not be judged.
func ValidateBackends(ctx context.Context, world World, severities Severities, change BackendChange) (Verdict, error) {
	var verdict Verdict
	if added, last := newBackends(change); added > maxNewBackends {
		verdict.Errors = field.ErrorList{tooMany(last.Path(), added, "addresses", maxNewBackends)}
		return verdict, nil
	}
	world = readOnce(world)
	var errs []error
	for _, rule := range backendRules() {
		if len(change.After) > largeChange && len(verdict.Errors) > 0 {
			break // One reason is enough for what costs so much.
		}
		errs = append(errs, judge(ctx, &verdict, rule.Rule, severities, func() ([]Finding, error) {
			return rule.check(ctx, world, change)
		}))
	}
	return verdict, errors.Join(errs...)
}

// newBackends counts the addresses that a change adds.
func newBackends(change BackendChange) (int, Backend) {
	had, added, last := change.had(), map[netip.Addr]bool{}, Backend{}
	for _, b := range change.After {
		if had[b.Addr] == nil && !added[b.Addr] {
			added[b.Addr], last = true, b
		}
	}
	return len(added), last
}

// tooMany refuses what would take too long to judge, whatever the rules say:
// otherwise a rule could be escaped by adding enough addresses.
func tooMany(path *field.Path, number int, what string, limit int) *field.Error {
	return field.Invalid(path, number, fmt.Sprintf(
		"a change that adds %d %s is not judged; add at most %d at a time", number, what, limit))
}

// checkEndpointIsService is X8. A Service behind a Service is not forwarded: a
// packet's destination is translated once.
func checkEndpointIsService(ctx context.Context, world World, change BackendChange) ([]Finding, error) {
	had := change.had()
	var found []Finding
	for _, b := range change.distinct() {
		var detail string
		var err error
		if had[b.Addr] == nil {
			detail, err = reservedFor(ctx, world, b.Addr)
		}
		if err == nil && detail == "" {
			detail, err = servedByProxy(ctx, world, b, had[b.Addr])
		}
		if err != nil {
			return found, err
		}
		if detail == "" {
			continue
		}
		found = append(found, Finding{Path: b.Path(), Value: b.Text,
			Detail: detail + ", and a Service can not be an endpoint; use the addresses of its pods, or an ExternalName Service"})
		if len(found) >= maxFindings {
			break
		}
	}
	return found, nil
}

// servedByProxy finds the Service that answers at the very address and port of
// an endpoint. The address alone would forbid too much: a node's own address
// is often an external IP and, at another port, a rightful endpoint. An
// address of ipMode Proxy is a real load balancer, which can be an endpoint.
func servedByProxy(ctx context.Context, world World, b Backend, had []Ports) (string, error) {
	newPort := func(svc *corev1.Service) (PortKey, bool) {
		for _, port := range svc.Spec.Ports {
			if key := portKey(port); b.Ports[key] && !anyHas(had, key) {
				return key, true
			}
		}
		return PortKey{}, false
	}
	holders, err := world.ServicesByVIP(ctx, b.Addr, func(svc *corev1.Service) bool {
		_, serves := newPort(svc)
		return serves && !onlyByLoadBalancer(svc, b.Addr)
	})
	if err != nil || len(holders) == 0 {
		return "", err
	}
	port, _ := newPort(holders[0])
	return fmt.Sprintf("%s answers at port %s of this address", world.NameOf(ctx, holders[0]), port), nil
}

func anyHas(list []Ports, port PortKey) bool {
	for _, ports := range list {
		if ports[port] {
			return true
		}
	}
	return false
}

// onlyByLoadBalancer tells whether packets to the address leave the cluster
// for a real load balancer (ipMode Proxy, KEP-1860) and are not translated here.
func onlyByLoadBalancer(svc *corev1.Service, addr netip.Addr) bool {
	for _, v := range externalVIPs(svc) {
		if v.addr == addr {
			return false
		}
	}
	for _, ingress := range svc.Status.LoadBalancer.Ingress {
		at, ok := parseAddr(ingress.IP)
		if ok && at == addr && (ingress.IPMode == nil || *ingress.IPMode != corev1.LoadBalancerIPModeProxy) {
			return false
		}
	}
	return true
}
