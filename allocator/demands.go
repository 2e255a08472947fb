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

package allocator

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Field is where in a Service a number goes. Several indexes share one number.
type Field struct {
	Kind    Kind
	Indexes []int // into spec.clusterIPs or spec.ports; none for the health check
}

// demand is one number that a Service asks for and does not hold yet.
type demand struct {
	field  Field
	family corev1.IPFamily // of a ClusterIP
	number Number          // the explicit request; none: any number will do
}

func (d demand) automatic() bool { return d.number.IsZero() }

// demandsOf lists what a Service asks for: on create everything it needs, on an
// update only what the old object did not hold. Order is the order in which the
// API server allocates: ClusterIPs, node ports in list order, the health check.
func demandsOf(old, updated *corev1.Service, configured []corev1.IPFamily) []demand {
	work := CarryOver(old, updated)
	demands := clusterIPDemands(old, work, configured)
	if usesNodePorts(work) {
		demands = append(demands, nodePortDemands(old, work)...)
	}
	if needsHealthCheck(work) && (old == nil || !needsHealthCheck(old)) {
		demands = append(demands, demand{field: Field{Kind: HealthCheckNodePort}, number: PortNumber(work.Spec.HealthCheckNodePort)})
	}
	return demands
}

// clusterIPDemands: a primary address is given once, on create or when an
// ExternalName becomes another type (A12); a secondary one also on an upgrade
// to two families (A15). A change of an address is for the server to refuse.
func clusterIPDemands(old, work *corev1.Service, configured []corev1.IPFamily) []demand {
	if !usesClusterIP(work) || isHeadless(work) {
		return nil
	}
	first := 0
	if old != nil && usesClusterIP(old) {
		if isHeadless(old) || keepsPreferDualStack(old, work) || len(pluralClusterIPs(old)) > 1 {
			return nil
		}
		first = 1
	}
	families, ok := familiesOf(old, work, configured)
	if !ok {
		return nil
	}
	var demands []demand
	for i := first; i < len(families); i++ {
		demands = append(demands, clusterIPDemand(work, i, families[i]))
	}
	return demands
}

func clusterIPDemand(work *corev1.Service, index int, family corev1.IPFamily) demand {
	d := demand{field: Field{Kind: ClusterIP, Indexes: []int{index}}, family: family}
	if index < len(work.Spec.ClusterIPs) {
		addr, _ := netip.ParseAddr(work.Spec.ClusterIPs[index]) // familiesOf checked it
		d.number = AddrNumber(addr)
	}
	return d
}

// keepsPreferDualStack: a PreferDualStack Service that is updated without saying
// anything new about addresses is not upgraded when the cluster was (A15).
func keepsPreferDualStack(old, work *corev1.Service) bool {
	prefer := func(s *corev1.Service) bool {
		return s.Spec.IPFamilyPolicy == nil || *s.Spec.IPFamilyPolicy == corev1.IPFamilyPolicyPreferDualStack
	}
	return work.Spec.IPFamilyPolicy != nil && prefer(work) && prefer(old) && old.Spec.Type == work.Spec.Type &&
		slices.Equal(old.Spec.ClusterIPs, work.Spec.ClusterIPs) && slices.Equal(old.Spec.IPFamilies, work.Spec.IPFamilies)
}

// nodePortDemands: an explicit number is asked for once, however many protocols
// use it. On create the ports with one `port` share their automatic number; on
// update each gets its own (A6).
func nodePortDemands(old, work *corev1.Service) []demand {
	held := heldNodePorts(old)
	byNumber, byPort := map[int32]int{}, map[int32]int{}
	var demands []demand
	for i, port := range work.Spec.Ports {
		switch {
		case port.NodePort != 0 && held[port.NodePort]:
		case port.NodePort != 0:
			demands = join(demands, byNumber, port.NodePort, i, PortNumber(port.NodePort))
		case !allocatesNodePorts(work):
		case old != nil:
			demands = join(demands, map[int32]int{}, 0, i, Number{})
		case !sharesExplicit(work.Spec.Ports, port.Port):
			demands = join(demands, byPort, port.Port, i, Number{})
		}
	}
	return demands
}

// join adds the port to the demand that is known by the key, or a new demand.
func join(demands []demand, known map[int32]int, key int32, index int, number Number) []demand {
	if at, ok := known[key]; ok {
		demands[at].field.Indexes = append(demands[at].field.Indexes, index)
		return demands
	}
	known[key] = len(demands)
	return append(demands, demand{field: Field{Kind: NodePort, Indexes: []int{index}}, number: number})
}

func heldNodePorts(old *corev1.Service) map[int32]bool {
	held := map[int32]bool{}
	if old == nil || !usesNodePorts(old) {
		return held
	}
	for _, port := range old.Spec.Ports {
		held[port.NodePort] = true
	}
	return held
}

// sharesExplicit: on create an empty node port takes the number that another
// protocol of the same `port` asks for; the server does that by itself.
func sharesExplicit(ports []corev1.ServicePort, number int32) bool {
	for _, port := range ports {
		if port.Port == number && port.NodePort != 0 {
			return true
		}
	}
	return false
}
