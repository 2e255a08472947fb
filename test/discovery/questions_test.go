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

package discovery

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"

	product "switchyard.dev/switchyard/internal/discovery"
)

const zone = "cluster.local."

// types are those that clients ask for, and some that they do not.
var types = []uint16{
	dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypePTR, dns.TypeCNAME, dns.TypeTXT, dns.TypeNS, dns.TypeSOA, dns.TypeMX, dns.TypeANY, dns.TypeHTTPS, 65280,
}

// names are all names that the Services could have, and near misses.
func names(services []*corev1.Service) []string {
	all := []string{
		zone, "svc." + zone, "pod." + zone, "dns-version." + zone, "x.dns-version." + zone, "dns." + zone, "ns.dns." + zone, "nothing." + zone, "shop." + zone,
		"a.b.c.d." + zone, "svc.svc." + zone, "pod.pod." + zone, "shop.svc." + zone, "nothing.svc." + zone, "nothing.pod." + zone, "x.nothing.svc." + zone,
		"Cluster.LOCAL.", "in-addr.arpa.", "ip6.arpa.", "10.in-addr.arpa.", "1.2.3.4.5.in-addr.arpa.", "svc.in-addr.arpa.", "s0.shop.svc.in-addr.arpa.",
		`s0\.shop.svc.` + zone, `s\.0.shop.svc.` + zone, `s0.shop\.svc.` + zone, "*.shop.svc." + zone, "any.shop.svc." + zone,
	}
	for _, namespace := range append(namespaces, "nothing") {
		all = append(all, namespace+".pod."+zone)
		for _, label := range []string{"10-0-0-1", "fd00--1", "fd00-1--", "1-2-3", "1-2-3-4-5", "256-0-0-1", "10-0-0-01", "-", "--", "web-1", "x.10-0-0-1", "--ffff-102-304"} {
			all = append(all, label+"."+namespace+".pod."+zone)
		}
	}
	for _, svc := range services {
		name := fmt.Sprintf("%s.%s.svc.%s", svc.Name, svc.Namespace, zone)
		all = append(all, name, strings.ToUpper(name[:1])+name[1:], svc.Name+".nothing.svc."+zone, svc.Name+"x."+svc.Namespace+".svc."+zone, svc.Name+"."+svc.Namespace+".pod."+zone)
		for _, before := range []string{
			"_http._tcp", "_http._udp", "_HTTP._Tcp", "http.tcp", "_https._tcp", "_metrics._sctp", "_dns._udp", "_other._tcp", "_nothing._tcp", "_._tcp", "_._", "_http._",
			"_tcp", "_udp", "_sctp", "tcp", "_http", "a.b.c", "x._http._tcp", "db-0", "DB-1", "db-9", "web-1", "10-0-0-1", "10-0-0-2", "10-0-0-200", "010-0-0-1", "10-0-0",
			"fd00--1", "fd00-0--1", "fd00-1--", "fd00-1--0", "fd00-2--0", "fd00-1-2-3-4-5-6-1", "fd00-1-2-3-4-5-6-9", strings.Repeat("p", 63),
		} {
			all = append(all, before+"."+name)
		}
		for _, ip := range svc.Spec.ClusterIPs {
			if a, err := netip.ParseAddr(ip); err == nil {
				all = append(all, product.ReverseName(a))
			}
		}
	}
	for i := range 62 {
		for _, format := range []string{"10.0.0.%d", "fd00::%x", "fd00:%x::", "fd00:1:2:3:4:5:6:%x"} {
			all = append(all, product.ReverseName(netip.MustParseAddr(fmt.Sprintf(format, i))))
		}
	}
	return all
}
