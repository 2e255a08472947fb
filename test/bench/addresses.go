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
	"encoding/binary"
	"net/netip"
)

// The addresses of the run's networks. They are in network namespaces of its
// own, so that they can not collide with the machine's.
var (
	apiServerAddress = netip.MustParseAddr("172.31.255.1")
	serviceCIDR      = netip.MustParsePrefix("10.96.0.0/12")
	// clusterCIDR holds all pods: endpoints and clients.
	clusterCIDR  = netip.MustParsePrefix("10.128.0.0/9")
	endpointCIDR = netip.MustParsePrefix("10.128.0.0/10")
	clientCIDR   = netip.MustParsePrefix("10.200.0.0/16")
)

const (
	maxServices  = 100_000
	maxEndpoints = 10
	endpointPort = 8080
	servicePort  = 80
	// clients is how many client addresses take turns.
	clients = 1000
)

// nth is the n-th address of prefix.
func nth(prefix netip.Prefix, n int) netip.Addr {
	base := prefix.Addr().As4()
	var bytes [4]byte
	binary.BigEndian.PutUint32(bytes[:], binary.BigEndian.Uint32(base[:])+uint32(n))
	return netip.AddrFrom4(bytes)
}

// endpointAddress is that of one endpoint of a Service. There are two
// generations of each, which churn swaps.
func endpointAddress(service, endpoint, generation int) netip.Addr {
	return nth(endpointCIDR, 1024+(service*maxEndpoints+endpoint)*2+generation)
}

// specialAddress is an endpoint of a Service made for one measurement.
func specialAddress(n int) netip.Addr { return nth(endpointCIDR, 1+n) }

func clusterIP(service int) netip.Addr { return nth(serviceCIDR, 1024+service) }

func clientAddress(n int) netip.Addr { return nth(clientCIDR, 1+n%clients) }
