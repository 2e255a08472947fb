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

package plugin

import (
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"switchyard.dev/switchyard/internal/discovery"
)

// places are the names under which this server is found: those of the Services
// that it is an endpoint of, else ns.dns.<zone> at its own addresses. Below
// reverse zones there are no such names.
func (q *query) places() []discovery.Place {
	zone := q.zone
	if strings.HasSuffix(strings.ToLower(zone), ".arpa.") {
		zone = q.h.Zone
	}
	var places []discovery.Place
	for _, a := range q.h.local {
		places = append(places, q.h.index.Around(a, zone)...)
	}
	if len(places) == 0 && len(q.h.local) > 0 {
		places = []discovery.Place{{Name: join("ns.dns", zone), Addresses: q.h.local}}
	}
	return places
}

// nameServers are the zone's NS records and their addresses.
func (q *query) nameServers() {
	seen := map[string]bool{}
	for _, place := range q.places() {
		if seen[place.Name] || len(place.Addresses) == 0 {
			continue
		}
		seen[place.Name] = true
		q.records = append(q.records, &dns.NS{Hdr: q.header(q.state.QName(), dns.TypeNS), Ns: place.Name})
		for _, a := range place.Addresses {
			q.extra = append(q.extra, q.address(place.Name, a))
		}
	}
}

// nameServerAddresses are those of ns.dns.<zone>, which the SOA names.
func (q *query) nameServerAddresses() {
	seen := map[netip.Addr]bool{}
	for _, place := range q.places() {
		for _, a := range place.Addresses {
			if a.Is4() == (q.kind == dns.TypeA) && (q.kind == dns.TypeA || q.kind == dns.TypeAAAA) && !seen[a] {
				seen[a] = true
				q.records = append(q.records, q.address(q.state.QName(), a))
			}
		}
	}
}

// localAddresses are those that the server listens on, all of the machine's
// where it listens everywhere; none that only the machine itself can reach.
func localAddresses(hosts []string) []netip.Addr {
	if len(hosts) == 0 || hosts[0] == "" {
		hosts = nil
		all, err := net.InterfaceAddrs()
		if err != nil {
			return nil
		}
		for _, a := range all {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				hosts = append(hosts, prefix.Addr().String())
			}
		}
	}
	var local []netip.Addr
	for _, host := range hosts {
		if a, err := netip.ParseAddr(host); err == nil && !a.IsLoopback() && !a.IsUnspecified() {
			local = append(local, a.Unmap().WithZone(""))
		}
	}
	return local
}
