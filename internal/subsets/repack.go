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

package subsets

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Repack brings subsets into the canonical form that readers of Endpoints
// rely on: every port appears in one subset, ports with the same addresses share
// it, and everything is sorted. The input is not modified.
//
//	10.0.0.1: http      10.0.0.1, 10.0.0.2: http
//	10.0.0.2: http  ->  10.0.0.1: metrics
//	10.0.0.1: metrics
//
// An address that is ready in one place and not in another, for the same port, is
// not ready. Addresses are told apart by IP and pod UID: pods on the host network
// share an IP and stay distinct. What else is said of an address is what is said
// where it comes first.
func Repack(subsets []corev1.EndpointSubset) []corev1.EndpointSubset {
	first := map[addressKey]*corev1.EndpointAddress{}
	byPort := map[subsetPort]readiness{}
	for i := range subsets {
		for _, port := range portsOf(&subsets[i]) {
			if byPort[port] == nil {
				byPort[port] = readiness{}
			}
			byPort[port].add(subsets[i].Addresses, true, first)
			byPort[port].add(subsets[i].NotReadyAddresses, false, first)
		}
	}
	portsByAddresses := map[string][]subsetPort{}
	for port, addresses := range byPort {
		if len(addresses) > 0 {
			identity := addresses.identity()
			portsByAddresses[identity] = append(portsByAddresses[identity], port)
		}
	}
	packed := make([]corev1.EndpointSubset, 0, len(portsByAddresses))
	for _, ports := range portsByAddresses {
		packed = append(packed, packSubset(byPort[ports[0]], first, ports))
	}
	slices.SortFunc(packed, compareSubsets)
	return packed
}

// subsetPort is an EndpointPort that compares by value.
type subsetPort struct {
	// none stands for the ports of a subset that has none.
	none           bool
	name           string
	port           int32
	protocol       corev1.Protocol
	hasAppProtocol bool
	appProtocol    string
}

func portsOf(subset *corev1.EndpointSubset) []subsetPort {
	if len(subset.Ports) == 0 {
		return []subsetPort{{none: true}}
	}
	ports := make([]subsetPort, 0, len(subset.Ports))
	for _, port := range subset.Ports {
		key := subsetPort{name: port.Name, port: port.Port, protocol: port.Protocol}
		if port.AppProtocol != nil {
			key.hasAppProtocol, key.appProtocol = true, *port.AppProtocol
		}
		ports = append(ports, key)
	}
	return ports
}

func (p subsetPort) endpointPort() corev1.EndpointPort {
	port := corev1.EndpointPort{Name: p.name, Port: p.port, Protocol: p.protocol}
	if p.hasAppProtocol {
		port.AppProtocol = &p.appProtocol
	}
	return port
}

func compareSubsetPorts(a, b subsetPort) int {
	return cmp.Or(
		cmp.Compare(a.name, b.name),
		cmp.Compare(a.port, b.port),
		cmp.Compare(a.protocol, b.protocol),
		cmp.Compare(a.appProtocol, b.appProtocol),
	)
}

type addressKey struct {
	ip  string
	uid types.UID
}

func keyOf(address *corev1.EndpointAddress) addressKey {
	key := addressKey{ip: address.IP}
	if address.TargetRef != nil {
		key.uid = address.TargetRef.UID
	}
	return key
}

// readiness is of the addresses that offer one port.
type readiness map[addressKey]bool

// add keeps in first the addresses that were not seen before.
func (r readiness) add(addresses []corev1.EndpointAddress, ready bool, first map[addressKey]*corev1.EndpointAddress) {
	for i := range addresses {
		key := keyOf(&addresses[i])
		if first[key] == nil {
			first[key] = &addresses[i]
		}
		before, found := r[key]
		r[key] = ready && (before || !found)
	}
}

func (r readiness) sortedKeys() []addressKey {
	keys := make([]addressKey, 0, len(r))
	for key := range r {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(x, y addressKey) int {
		return cmp.Or(cmp.Compare(x.ip, y.ip), cmp.Compare(x.uid, y.uid))
	})
	return keys
}

// identity is equal for equal sets of addresses of equal readiness.
func (r readiness) identity() string {
	var text strings.Builder
	for _, key := range r.sortedKeys() {
		fmt.Fprintf(&text, "%s/%s/%t ", key.ip, key.uid, r[key])
	}
	return text.String()
}

func packSubset(ready readiness, first map[addressKey]*corev1.EndpointAddress, ports []subsetPort) corev1.EndpointSubset {
	var subset corev1.EndpointSubset
	for _, key := range ready.sortedKeys() {
		if ready[key] {
			subset.Addresses = append(subset.Addresses, *first[key])
		} else {
			subset.NotReadyAddresses = append(subset.NotReadyAddresses, *first[key])
		}
	}
	slices.SortFunc(ports, compareSubsetPorts)
	for _, port := range ports {
		if !port.none {
			subset.Ports = append(subset.Ports, port.endpointPort())
		}
	}
	return subset
}

// compareSubsets orders by ports: each port is in one subset only, so that is
// enough. A subset without ports comes first.
func compareSubsets(a, b corev1.EndpointSubset) int {
	return slices.CompareFunc(portsOf(&a), portsOf(&b), compareSubsetPorts)
}
