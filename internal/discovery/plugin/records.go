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

// find gathers the records of a name below the zone, relative to it and in
// lower case, under the name that was asked for. Before are the CNAMEs that led
// to it.
func (q *query) find(relative, asked string, before []*dns.CNAME) (exists bool) {
	answer := q.h.answers.Get().(*discovery.Answer)
	defer q.h.answers.Put(answer)
	exists = q.h.index.Lookup(discovery.Question{Name: relative, Zone: q.zone, Type: discovery.Type(dns.TypeToString[q.kind])}, answer)
	if answer.Target != "" {
		q.alias(asked, answer.Target, before)
		return exists
	}
	if len(answer.Addresses) > 0 || len(answer.Services) > 0 {
		q.records = append(q.records, aliases(before)...)
	}
	q.records = q.addresses(q.records, asked, answer.Addresses)
	for _, s := range answer.Services {
		q.records = append(q.records, &dns.SRV{Hdr: q.header(asked, dns.TypeSRV), Weight: s.Weight, Port: s.Port, Target: s.Target})
	}
	for _, g := range answer.Glue {
		q.extra = append(q.extra, q.address(g.Name, g.Address))
	}
	return exists
}

func (q *query) header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: q.h.TTL}
}

// addresses appends records for addresses of one family, all in one piece of
// memory.
func (q *query) addresses(records []dns.RR, name string, addresses []netip.Addr) []dns.RR {
	if len(addresses) == 0 {
		return records
	}
	bytes := make([]byte, 0, len(addresses)*net.IPv6len)
	if q.kind == dns.TypeA {
		rrs := make([]dns.A, len(addresses))
		for i, a := range addresses {
			from := len(bytes)
			bytes = append(bytes, a.AsSlice()...)
			rrs[i] = dns.A{Hdr: q.header(name, dns.TypeA), A: net.IP(bytes[from:len(bytes):len(bytes)])}
			records = append(records, &rrs[i])
		}
		return records
	}
	rrs := make([]dns.AAAA, len(addresses))
	for i, a := range addresses {
		from := len(bytes)
		bytes = append(bytes, a.AsSlice()...)
		rrs[i] = dns.AAAA{Hdr: q.header(name, dns.TypeAAAA), AAAA: net.IP(bytes[from:len(bytes):len(bytes)])}
		records = append(records, &rrs[i])
	}
	return records
}

func (q *query) address(name string, a netip.Addr) dns.RR {
	if a.Is4() {
		return &dns.A{Hdr: q.header(name, dns.TypeA), A: a.AsSlice()}
	}
	return &dns.AAAA{Hdr: q.header(name, dns.TypeAAAA), AAAA: a.AsSlice()}
}

func (q *query) version() {
	header := q.header(q.state.QName(), dns.TypeTXT)
	header.Ttl = discovery.VersionTTL
	q.records = append(q.records, &dns.TXT{Hdr: header, Txt: []string{discovery.Version}})
}

// soaTTL is how long an SOA may be kept at most, in seconds.
const soaTTL = 300

// soa ends with how long it holds that something is not there: as long as what
// is there, so that a peer of a StatefulSet is found as soon as it has a name.
func (q *query) soa() dns.RR {
	header := q.header(q.zone, dns.TypeSOA)
	header.Ttl = min(header.Ttl, soaTTL)
	return &dns.SOA{
		Hdr: header, Ns: join("ns.dns", q.zone), Mbox: join("hostmaster", q.zone), Serial: q.h.index.Serial(),
		Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: q.h.TTL,
	}
}

// longest is the zone, of those in lower case, that name is in and no smaller one;
// empty if there is none. CoreDNS's own takes both apart into labels each time.
func longest(zones []string, name string) (zone string) {
	for _, z := range zones {
		if len(z) > len(zone) && within(z, name) {
			zone = z
		}
	}
	return zone
}

// within is true for zone and what is below it. A dot behind a backslash is part of
// a label.
func within(zone, name string) bool {
	above, is := strings.CutSuffix(name, zone)
	if !is || zone == "." || above == "" {
		return is
	}
	labels, dot := strings.CutSuffix(above, ".")
	return dot && (len(labels)-len(strings.TrimRight(labels, `\`)))%2 == 0
}

// join is name below zone, which may be the root.
func join(name, zone string) string {
	if zone == "." {
		return name + "."
	}
	return name + "." + zone
}
