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

package endpointslices

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netutils "k8s.io/utils/net"
)

// Input is what the slices of a Service are planned from. Nothing of it is
// modified, and the slices of a Plan share memory with it.
type Input struct {
	Service *corev1.Service
	// Pods are those that the selector matches.
	Pods []*corev1.Pod
	// Node returns nil for one that is not known.
	Node func(name string) *corev1.Node
	// Existing are the Service's slices that we manage, without those that are
	// being deleted.
	Existing []*discoveryv1.EndpointSlice
	// ManagedBy is the label of those.
	ManagedBy string
	// MaxEndpoints is how many a slice has at most, 1 to 1000.
	MaxEndpoints int
}

// Plan is what to write for one address type.
type Plan struct {
	Family                 discoveryv1.AddressType
	Create, Update, Delete []*discoveryv1.EndpointSlice
	// Unchanged are the others.
	Unchanged []*discoveryv1.EndpointSlice
	// Added and Removed count endpoints.
	Added, Removed int
	// NodeUnknown are pods that were left out since their node is not known; they
	// must be tried again (kubernetes/kubernetes issue 107927).
	NodeUnknown []string
}

// Group is how many endpoints and slices have the same ports.
type Group struct{ Endpoints, Slices int }

// Count adds to groups, which are by address type and ports, what there is when
// the plan has been carried out.
func (p *Plan) Count(groups map[string]Group) {
	for _, some := range [][]*discoveryv1.EndpointSlice{p.Create, p.Update, p.Unchanged} {
		for _, slice := range some {
			key := string(p.Family) + " " + string(keyOf(slice.Ports))
			group := groups[key]
			groups[key] = Group{group.Endpoints + len(slice.Endpoints), group.Slices + 1}
		}
	}
}

// Plans are for every address type, and with Delete alone for those that the
// Service has no more (row E23).
func Plans(in Input) []Plan {
	byFamily := map[discoveryv1.AddressType][]*discoveryv1.EndpointSlice{}
	for _, slice := range in.Existing {
		byFamily[slice.AddressType] = append(byFamily[slice.AddressType], slice)
	}
	var plans []Plan
	for _, family := range Families(in.Service) {
		plans = append(plans, in.plan(family, byFamily[family]))
		delete(byFamily, family)
	}
	for _, family := range slices.Sorted(maps.Keys(byFamily)) {
		plans = append(plans, Plan{Family: family, Delete: byFamily[family]})
	}
	return plans
}

// wanted are the endpoints with the same ports.
type wanted struct {
	ports     []discoveryv1.EndpointPort
	endpoints map[identity]*discoveryv1.Endpoint
	// order is that of the pods, so that equal inputs give equal plans.
	order []identity
}

func (in Input) plan(family discoveryv1.AddressType, existing []*discoveryv1.EndpointSlice) Plan {
	p := Plan{Family: family}
	labels := labelsFor(in.Service, in.ManagedBy)
	groups := in.wanted(family, &p)
	present := map[portsKey][]*discoveryv1.EndpointSlice{}
	for _, slice := range existing {
		if owned(slice, in.Service) {
			key := keyOf(slice.Ports)
			present[key] = append(present[key], slice)
		} else {
			p.Delete = append(p.Delete, slice)
		}
	}
	var packings []*packing
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		packings = append(packings, groups[key].begin(&p, present[key], labels))
		delete(present, key)
	}
	for _, key := range slices.Sorted(maps.Keys(present)) {
		p.Delete = append(p.Delete, present[key]...)
	}
	from := homesIn(p.Delete, in.Service)
	from.bequeath(packings)
	for _, next := range packings {
		in.pack(&p, next, from, labels)
	}
	in.placeholder(&p, labels, len(existing))
	p.recycle(in.Service)
	p.Update = InOrder(p.Update, existing)
	return p
}

// wanted groups the pods' endpoints by their ports.
func (in Input) wanted(family discoveryv1.AddressType, p *Plan) map[portsKey]*wanted {
	groups := map[portsKey]*wanted{}
	byNumbers := map[string]*wanted{}
	var buffer []byte
	for _, pod := range in.Pods {
		if !eligible(pod) {
			continue
		}
		buffer = numbers(in.Service, pod, buffer)
		group := byNumbers[string(buffer)]
		if group == nil {
			ports := endpointPorts(in.Service, buffer)
			key := keyOf(ports)
			if group = groups[key]; group == nil {
				group = &wanted{ports: ports, endpoints: map[identity]*discoveryv1.Endpoint{}}
				groups[key] = group
			}
			byNumbers[string(buffer)] = group
		}
		// A group without endpoints keeps an empty slice that has its ports.
		node := in.Node(pod.Spec.NodeName)
		if node == nil && !in.Service.Spec.PublishNotReadyAddresses {
			p.NodeUnknown = append(p.NodeUnknown, pod.Name)
			continue
		}
		endpoint := endpointFor(in.Service, pod, node, family)
		if len(endpoint.Addresses) == 0 {
			continue
		}
		id := identityOf(&endpoint)
		if group.endpoints[id] == nil {
			group.order = append(group.order, id)
		}
		group.endpoints[id] = &endpoint
	}
	return groups
}

// placeholder is what a Service without endpoints has one of (row E22).
func (in Input) placeholder(p *Plan, labels map[string]string, existing int) {
	if len(p.Delete) != existing || len(p.Create) > 0 {
		return
	}
	if len(p.Delete) == 1 && isPlaceholder(p.Delete[0], in.Service, labels) {
		p.Unchanged, p.Delete = append(p.Unchanged, p.Delete[0]), nil
		return
	}
	p.Create = append(p.Create, newSlice(in.Service, labels, p.Family, []discoveryv1.EndpointPort{}))
}

func isPlaceholder(slice *discoveryv1.EndpointSlice, service *corev1.Service, labels map[string]string) bool {
	return len(slice.Endpoints) == 0 && len(slice.Ports) == 0 && owned(slice, service) && maps.Equal(slice.Labels, labels)
}

// recycle turns creations and deletions into updates: a slice of the same
// Service and address type can be anything.
func (p *Plan) recycle(service *corev1.Service) {
	for _, old := range slices.Clone(p.Delete) {
		if len(p.Create) > 0 && owned(old, service) {
			p.reuse(old)
		}
	}
}

// reuse writes what was to be created last in the place of a slice that was to be
// deleted.
func (p *Plan) reuse(old *discoveryv1.EndpointSlice) {
	last := len(p.Create) - 1
	next := p.Create[last]
	next.Name, next.UID, next.ResourceVersion = old.Name, old.UID, old.ResourceVersion
	p.Create, p.Update = p.Create[:last], append(p.Update, next)
	p.Delete = slices.DeleteFunc(p.Delete, func(slice *discoveryv1.EndpointSlice) bool { return slice == old })
}

func isIPv6(text string) bool { return netutils.IsIPv6String(text) }
