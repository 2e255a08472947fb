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

package controllers

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	endpointsliceutil "k8s.io/endpointslice/util"
	utilnet "k8s.io/utils/net"

	"switchyard.dev/switchyard/internal/endpointslices"
	"switchyard.dev/switchyard/internal/subsets"
)

// mirrorPlan is what has to be written so that slices mirror an Endpoints object.
type mirrorPlan struct {
	create, update, remove []*discoveryv1.EndpointSlice
	// before are the slices that exist, by name.
	before map[string]*discoveryv1.EndpointSlice
	// invalid and surplus count addresses left out because they are no IP, or
	// because their subset has too many.
	invalid, surplus int
}

// mayMirror looks at the Endpoints object alone: locks of old leader elections,
// and what its author wants left alone, are not mirrored.
func mayMirror(endpoints metav1.Object) bool {
	return endpoints.GetLabels()[discoveryv1.LabelSkipMirror] != "true" && !isLeaderLock(endpoints)
}

// shouldMirror also asks for a Service without a selector; with one, the slices
// come from its pods.
func shouldMirror(endpoints *corev1.Endpoints, service *corev1.Service) bool {
	return endpoints != nil && service != nil && len(service.Spec.Selector) == 0 && mayMirror(endpoints)
}

// mirrorKey is what one mirrored slice is for. ports is a hash of the ports.
type mirrorKey struct {
	addressType discoveryv1.AddressType
	ports       endpointsliceutil.PortMapKey
}

// planMirror compares the mirror that endpoints asks for, one slice per family and
// set of ports, with the slices that exist. Neither is modified. limit is the
// number of addresses taken from one subset, ready ones first.
func planMirror(endpoints *corev1.Endpoints, existing []*discoveryv1.EndpointSlice, limit int) mirrorPlan {
	plan := mirrorPlan{before: map[string]*discoveryv1.EndpointSlice{}}
	for _, slice := range existing {
		plan.before[slice.Name] = slice
	}
	unused := slices.Clone(existing)
	slices.SortFunc(unused, func(a, b *discoveryv1.EndpointSlice) int { return cmp.Compare(a.Name, b.Name) })
	for _, desired := range plan.desiredSlices(endpoints, limit) {
		at := slices.IndexFunc(unused, func(slice *discoveryv1.EndpointSlice) bool { return keyOfSlice(slice) == keyOfSlice(desired) })
		if at < 0 {
			plan.create = append(plan.create, desired)
			continue
		}
		if !mirrorsAlready(unused[at], desired) {
			plan.update = append(plan.update, replacement(unused[at], desired))
		}
		unused = slices.Delete(unused, at, at+1)
	}
	plan.remove = unused
	plan.recycle()
	plan.update = endpointslices.InOrder(plan.update, existing)
	return plan
}

// recycle turns a creation and a removal of the same family into one update, of
// the slice that has most of the addresses.
func (p *mirrorPlan) recycle() {
	p.create = slices.DeleteFunc(p.create, func(desired *discoveryv1.EndpointSlice) bool {
		best, most := -1, -1
		for at, slice := range p.remove {
			if same := sharedAddresses(slice, desired); slice.AddressType == desired.AddressType && same > most {
				best, most = at, same
			}
		}
		if best < 0 {
			return false
		}
		p.update = append(p.update, replacement(p.remove[best], desired))
		p.remove = slices.Delete(p.remove, best, best+1)
		return true
	})
}

func sharedAddresses(a, b *discoveryv1.EndpointSlice) (shared int) {
	in := map[string]bool{}
	for i := range a.Endpoints {
		in[a.Endpoints[i].Addresses[0]] = true
	}
	for i := range b.Endpoints {
		if in[b.Endpoints[i].Addresses[0]] {
			shared++
		}
	}
	return shared
}

// of is the part of the plan for one family.
func (p *mirrorPlan) of(family discoveryv1.AddressType) mirrorPlan {
	those := func(all []*discoveryv1.EndpointSlice) (some []*discoveryv1.EndpointSlice) {
		for _, slice := range all {
			if slice.AddressType == family {
				some = append(some, slice)
			}
		}
		return some
	}
	return mirrorPlan{create: those(p.create), update: those(p.update), remove: those(p.remove), before: p.before}
}

// replacement gives an existing slice the desired content.
func replacement(existing, desired *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	slice := desired.DeepCopy()
	slice.GenerateName = ""
	slice.Name, slice.UID, slice.ResourceVersion = existing.Name, existing.UID, existing.ResourceVersion
	return slice
}

func keyOfSlice(slice *discoveryv1.EndpointSlice) mirrorKey {
	// The hash function sorts its argument in place.
	return mirrorKey{slice.AddressType, endpointsliceutil.NewPortMapKey(slices.Clone(slice.Ports))}
}

func mirrorsAlready(existing, desired *discoveryv1.EndpointSlice) bool {
	return apiequality.Semantic.DeepEqual(existing.Labels, desired.Labels) &&
		apiequality.Semantic.DeepEqual(existing.Annotations, desired.Annotations) &&
		apiequality.Semantic.DeepEqual(existing.OwnerReferences, desired.OwnerReferences) &&
		sameEndpoints(existing.Endpoints, desired.Endpoints)
}

// sameEndpoints ignores the order.
func sameEndpoints(existing, desired []discoveryv1.Endpoint) bool {
	if len(existing) != len(desired) {
		return false
	}
	want := endpointsliceutil.EndpointSet{}
	for i := range desired {
		want.Insert(desired[i].DeepCopy())
	}
	for i := range existing {
		endpoint := existing[i].DeepCopy()
		match := want.Get(endpoint)
		if match == nil || !endpointsliceutil.EndpointsEqualBeyondHash(match, endpoint) {
			return false
		}
		want.Delete(match)
	}
	return true
}

// desiredSlices is the mirror, sorted as the packed subsets are, IPv4 before IPv6.
func (p *mirrorPlan) desiredSlices(endpoints *corev1.Endpoints, limit int) []*discoveryv1.EndpointSlice {
	var desired []*discoveryv1.EndpointSlice
	for _, subset := range subsets.Repack(endpoints.Subsets) {
		byFamily := p.mirrorSubset(&subset, limit)
		for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
			if len(byFamily[family]) > 0 {
				slice := newMirroredSlice(endpoints, family, subset.Ports)
				slice.Endpoints = byFamily[family]
				desired = append(desired, slice)
			}
		}
	}
	return desired
}

func (p *mirrorPlan) mirrorSubset(subset *corev1.EndpointSubset, limit int) map[discoveryv1.AddressType][]discoveryv1.Endpoint {
	byFamily := map[discoveryv1.AddressType][]discoveryv1.Endpoint{}
	places := map[mirroredIdentity]int{}
	taken := 0
	take := func(addresses []corev1.EndpointAddress, ready bool) {
		for i := range addresses {
			if taken == limit {
				p.surplus += len(addresses) - i
				return
			}
			endpoint, family, ok := mirroredEndpoint(&addresses[i], ready)
			if !ok {
				p.invalid++
				continue
			}
			// One address may be there in two spellings; the later one counts.
			id := identityOfMirrored(&endpoint)
			if at, there := places[id]; there {
				byFamily[family][at] = endpoint
				continue
			}
			places[id] = len(byFamily[family])
			byFamily[family] = append(byFamily[family], endpoint)
			taken++
		}
	}
	take(subset.Addresses, true)
	take(subset.NotReadyAddresses, false)
	return byFamily
}

// mirroredIdentity is what makes two endpoints the same one to clients (row E21).
type mirroredIdentity struct{ address, hostname, namespace, name string }

func identityOfMirrored(endpoint *discoveryv1.Endpoint) mirroredIdentity {
	id := mirroredIdentity{address: endpoint.Addresses[0]}
	if endpoint.Hostname != nil {
		id.hostname = *endpoint.Hostname
	}
	if endpoint.TargetRef != nil {
		id.namespace, id.name = endpoint.TargetRef.Namespace, endpoint.TargetRef.Name
	}
	return id
}

// mirroredEndpoint sets no condition but ready: nobody knows the others.
func mirroredEndpoint(address *corev1.EndpointAddress, ready bool) (discoveryv1.Endpoint, discoveryv1.AddressType, bool) {
	ip := utilnet.ParseIPSloppy(address.IP)
	if ip == nil {
		return discoveryv1.Endpoint{}, "", false
	}
	family := discoveryv1.AddressTypeIPv4
	if utilnet.IsIPv6(ip) {
		family = discoveryv1.AddressTypeIPv6
	}
	endpoint := discoveryv1.Endpoint{
		Addresses:  []string{ip.String()},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		TargetRef:  address.TargetRef.DeepCopy(),
		NodeName:   address.NodeName,
	}
	if address.Hostname != "" {
		endpoint.Hostname = &address.Hostname
	}
	return endpoint, family, true
}

func newMirroredSlice(endpoints *corev1.Endpoints, family discoveryv1.AddressType, ports []corev1.EndpointPort) *discoveryv1.EndpointSlice {
	labels := maps.Clone(endpoints.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[discoveryv1.LabelServiceName] = endpoints.Name
	labels[discoveryv1.LabelManagedBy] = EndpointSliceMirroringControllerName
	annotations := maps.Clone(endpoints.Annotations)
	delete(annotations, corev1.EndpointsLastChangeTriggerTime)
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       endpoints.Namespace,
			GenerateName:    endpoints.Name + "-",
			Labels:          labels,
			Annotations:     annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(endpoints, corev1.SchemeGroupVersion.WithKind("Endpoints"))},
		},
		AddressType: family,
		Ports:       mirroredPorts(ports),
	}
}

func mirroredPorts(ports []corev1.EndpointPort) []discoveryv1.EndpointPort {
	mirrored := make([]discoveryv1.EndpointPort, 0, len(ports))
	for _, port := range ports {
		mirrored = append(mirrored, discoveryv1.EndpointPort{
			Name: &port.Name, Port: &port.Port, Protocol: &port.Protocol, AppProtocol: port.AppProtocol,
		})
	}
	return mirrored
}
