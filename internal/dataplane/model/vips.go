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

import "net/netip"

// vipCounts counts the ports that each VIP has.
type vipCounts map[netip.Addr]int

func (v vipCounts) count(svc *service, by int) {
	for i := range svc.ports {
		port := &svc.ports[i]
		for _, addrs := range [][]netip.Addr{port.ClusterIPs, port.ExternalIPs, port.LoadBalancerIPs} {
			for _, addr := range addrs {
				if v[addr] += by; v[addr] == 0 {
					delete(v, addr)
				}
			}
		}
	}
}

// IsVIP says whether addr is a ClusterIP, an external IP or a load balancer IP of
// any Service.
func (s *Store) IsVIP(addr netip.Addr) bool { return s.vips[addr] > 0 }
