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
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// question is one that the two answer differently.
type question struct {
	name string
	kind uint16
	// address is what the kubernetes plugin answers to A.
	address      reply
	theirs, ours reply
	// peer is the kubernetes plugin, to be asked more.
	peer func(name string, kind uint16) reply
}

// difference is one that docs/dns.md gives the reason for.
type difference struct {
	name string
	is   func(q question) bool
	// rare are the configurations in which it does not come up.
	rare string
}

func noData(r reply) bool { return r.Rcode == "NOERROR" && len(r.Answer) == 0 && r.Authority != nil }

func nxDomain(r reply) bool { return r.Rcode == "NXDOMAIN" }

func reverse(name string) bool { return strings.HasSuffix(name, ".arpa.") }

// labels are those before the zone.
func labels(name string) []string {
	if strings.EqualFold(name, zone) {
		return nil
	}
	return dns.SplitDomainName(strings.ToLower(strings.TrimSuffix(name, zone)))
}

// below is true if the last labels before the zone are of pods or Services.
func below(name, what string) bool {
	l := labels(name)
	return len(l) > 0 && l[len(l)-1] == what
}

const onlyInsecure = "by default, some namespaces, empty ones ignored"

var differences = []difference{
	{name: "TXT of a name that exists", is: func(q question) bool {
		return q.kind == dns.TypeTXT && nxDomain(q.theirs) && noData(q.ours) && q.address.Rcode == "NOERROR"
	}},
	{name: "other types of dns-version, and PTR of ns.dns", is: func(q question) bool {
		return (q.name == "dns-version."+zone || q.name == "ns.dns."+zone && q.kind == dns.TypePTR) && nxDomain(q.theirs) && noData(q.ours)
	}},
	{name: "SOA of a name that does not exist", is: func(q question) bool {
		return q.kind == dns.TypeSOA && noData(q.theirs) && nxDomain(q.ours)
	}},
	{name: "above a name that exists", is: func(q question) bool {
		l := labels(q.name)
		return nxDomain(q.theirs) && noData(q.ours) && (len(l) == 4 && strings.HasPrefix(l[0], "_") || slices.Equal(l, []string{"dns"}) || q.name == "dns.in-addr.arpa.")
	}},
	{name: "other types of an address", is: func(q question) bool {
		return reverse(q.name) && q.kind != dns.TypePTR && nxDomain(q.theirs) && noData(q.ours)
	}},
	{name: "PTR to a name that does not exist", is: func(q question) bool {
		if !reverse(q.name) || q.kind != dns.TypePTR {
			return false
		}
		return subset(q.ours.Answer, q.theirs.Answer) && (nxDomain(q.ours) || len(q.ours.Answer) > 0) && q.onlyDeadEndsAreMissing()
	}},
	{name: "SRV of a pod", rare: onlyInsecure, is: func(q question) bool {
		return q.kind == dns.TypeSRV && below(q.name, "pod") && len(q.theirs.Answer) > 0 && noData(q.ours)
	}},
	{name: "below a pod", rare: onlyInsecure, is: func(q question) bool {
		return below(q.name, "pod") && len(labels(q.name)) > 3 && q.theirs.Rcode == "NOERROR" && nxDomain(q.ours)
	}},
	{name: "a port without a name below an ExternalName", is: func(q question) bool {
		return strings.HasPrefix(q.name, "_._.") && q.theirs.Rcode == "NOERROR" && nxDomain(q.ours)
	}},
	{name: "an ExternalName whose resolver fails", is: func(q question) bool {
		return q.ours.Rcode == "SERVFAIL" && q.theirs.Rcode == "NOERROR" && len(q.peer(q.name, dns.TypeCNAME).Answer) == 1 &&
			!slices.ContainsFunc(q.theirs.Answer, func(line string) bool { return !strings.Contains(line, "\tCNAME\t") })
	}},
	{name: "Services below reverse zones", is: func(q question) bool {
		return q.name == "svc.in-addr.arpa." && noData(q.theirs) && nxDomain(q.ours)
	}},
}

// subset is true if a has part of what b has.
func subset(a, b []string) bool {
	return len(a) < len(b) && !slices.ContainsFunc(a, func(line string) bool { return !slices.Contains(b, line) })
}

// onlyDeadEndsAreMissing is true if the PTR records that only the kubernetes
// plugin has lead to names that it does not know itself.
func (q question) onlyDeadEndsAreMissing() bool {
	return !slices.ContainsFunc(q.theirs.Answer, func(line string) bool {
		target := line[strings.LastIndex(line, "\t")+1:]
		return !slices.Contains(q.ours.Answer, line) && q.peer(target, dns.TypeA).Rcode == "NOERROR"
	})
}
