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

package main

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// special is a Service made for one measurement. They exist at every size.
type special struct {
	name     string
	vip      netip.Addr
	affinity corev1.ServiceAffinity
	first    int // of its endpoints' addresses
	count    int
}

const manyEndpoints = 100

var (
	// switching has one endpoint, a new one at each turn of the bench.
	switching = special{name: "switching", vip: nth(serviceCIDR, 101), first: 0, count: 1}
	// many and sticky share 100 endpoints.
	many     = special{name: "many", vip: nth(serviceCIDR, 102), first: 10, count: manyEndpoints}
	sticky   = special{name: "sticky", vip: nth(serviceCIDR, 103), first: 10, count: manyEndpoints, affinity: corev1.ServiceAffinityClientIP}
	specials = []special{switching, many, sticky}
)

func (s special) endpoints() []netip.Addr {
	var addresses []netip.Addr
	for n := range s.count {
		addresses = append(addresses, specialAddress(s.first+n))
	}
	return addresses
}

func (s special) frontend() netip.AddrPort { return netip.AddrPortFrom(s.vip, servicePort) }
