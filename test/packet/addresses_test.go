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

package packet

import (
	"fmt"
	"net"
	"net/netip"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

func (w *world) either(v4, v6 string) netip.Addr {
	if w.family == model.IPv4 {
		return netip.MustParseAddr(v4)
	}
	return netip.MustParseAddr(v6)
}

func (w *world) podIP(host int) netip.Addr {
	return w.either(fmt.Sprintf("10.244.0.%d", host), fmt.Sprintf("fd00:244::%x", host))
}

func (w *world) nodeIP() netip.Addr     { return w.either("192.168.50.1", "fd50::1") }
func (w *world) outsideIP() netip.Addr  { return w.either("192.168.50.2", "fd50::2") }
func (w *world) clusterIP() netip.Addr  { return w.either("10.96.0.10", "fd00:96::10") }
func (w *world) externalIP() netip.Addr { return w.either("203.0.113.9", "2001:db8::9") }
func (w *world) balancerIP() netip.Addr { return w.either("203.0.113.10", "2001:db8::10") }

func (w *world) everything() netip.Prefix { return w.prefix(w.either("0.0.0.0", "::"), 0, 0) }

func (w *world) prefix(addr netip.Addr, bits4, bits6 int) netip.Prefix {
	if addr.Is4() {
		return netip.PrefixFrom(addr, bits4)
	}
	return netip.PrefixFrom(addr, bits6)
}

func (w *world) single(addr netip.Addr) netip.Prefix {
	return netip.PrefixFrom(addr, addr.BitLen())
}

func prefixNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

const nodePort = 30080

// vips are all addresses of service.
func (w *world) vips() []netip.Addr {
	return []netip.Addr{w.clusterIP(), w.externalIP(), w.balancerIP()}
}

// service is a ServicePort "default/web" with every way in.
func (w *world) service(protocol model.Protocol, endpoints ...netip.AddrPort) policy.Decision {
	return policy.Decision{
		Name:            model.ServicePortName{Namespace: "default", Name: "web", Protocol: protocol},
		Family:          w.family,
		Port:            80,
		ClusterIP:       w.clusterIP(),
		ExternalIPs:     []netip.Addr{w.externalIP()},
		LoadBalancerIPs: []netip.Addr{w.balancerIP()},
		NodePort:        nodePort,
		Cluster:         endpoints,
		Near:            endpoints,
		Known:           endpoints,
	}
}
