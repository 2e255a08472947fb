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

package chaos

import (
	"context"
	"net/netip"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// background is for what is cleaned up after a test's own context has ended.
var background = context.Background()

// endpointCount crosses four powers of two.
const (
	endpointCount = 17
	endpointPort  = 8080
)

// family is what the bed has of one IP family.
type family struct {
	name        string
	keyword     string // of nft
	addressType discoveryv1.AddressType
	node, first netip.Addr
	bits        string
}

var families = []family{
	{"IPv4", "ip", discoveryv1.AddressTypeIPv4, netip.MustParseAddr("192.168.60.1"), netip.MustParseAddr("10.244.0.2"), "/24"},
	{"IPv6", "ip6", discoveryv1.AddressTypeIPv6, netip.MustParseAddr("fd60::1"), netip.MustParseAddr("fd00:244::2"), "/64"},
}

// endpoint is the address of endpoint i. The first one is ready all along.
func (f family) endpoint(i int) netip.Addr {
	addr := f.first
	for range i {
		addr = addr.Next()
	}
	return addr
}
