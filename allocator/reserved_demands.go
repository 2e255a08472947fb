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
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// reserve finds which automatic demands are met from reservations of the Service:
// a ClusterIP by its family, the health check's port by its kind, node ports by
// the names of the ports. What is reserved for a node port without a name goes to
// the first that is left, so named ones are given first.
func (p *planner) reserve() {
	p.reserved = map[int]Number{}
	var unnamed []Number
	for _, n := range p.index.reservedNumbers(p.self) {
		reservation := p.index.reservations[n]
		switch {
		case !p.index.ranges.contains(n) || len(p.index.holders[n]) > 0 || slices.Contains(p.kept, n):
			// It can not be given: it lies outside, or somebody has it.
		case !n.IsPort():
			p.reserveFirst(n, func(d demand) bool { return d.fits(n) })
		case reservation.HealthCheck:
			p.reserveFirst(n, func(d demand) bool { return d.field.Kind == HealthCheckNodePort })
		case len(reservation.PortNames) > 0:
			p.reserveNamed(n, reservation.PortNames)
		default:
			unnamed = append(unnamed, n)
		}
	}
	for _, n := range unnamed {
		p.reserveFirst(n, func(d demand) bool { return d.field.Kind == NodePort })
	}
}

func (p *planner) reserveFirst(n Number, fits func(demand) bool) {
	for i, d := range p.demands {
		if _, taken := p.reserved[i]; d.automatic() && !taken && fits(d) {
			p.reserved[i] = n
			return
		}
	}
}

// reserveNamed gives one number to all ports of these names, which may be several
// as long as their protocols differ (A6).
func (p *planner) reserveNamed(n Number, names []string) {
	var protocols []corev1.Protocol
	for i, d := range p.demands {
		if _, taken := p.reserved[i]; !d.automatic() || taken || d.field.Kind != NodePort {
			continue
		}
		named := false
		var own []corev1.Protocol
		for _, index := range d.field.Indexes {
			port := p.request.New.Spec.Ports[index]
			named = named || slices.Contains(names, port.Name)
			own = append(own, port.Protocol)
		}
		if named && !slices.ContainsFunc(own, func(protocol corev1.Protocol) bool { return slices.Contains(protocols, protocol) }) {
			p.reserved[i] = n
			protocols = append(protocols, own...)
		}
	}
}
