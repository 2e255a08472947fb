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
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// maxAliases is how many CNAMEs are followed inside the zone.
const maxAliases = 11

// alias gathers what an ExternalName leads to: the CNAME itself if it was asked
// for, else also the addresses behind it. A client in a pod takes us for a
// resolver and does not ask again.
func (q *query) alias(asked, target string, before []*dns.CNAME) {
	cname := &dns.CNAME{Hdr: q.header(asked, dns.TypeCNAME), Target: target}
	if q.kind == dns.TypeCNAME {
		q.records = append(q.records, cname)
		return
	}
	if len(before) >= maxAliases {
		return
	}
	for _, b := range before { // in a circle
		if strings.EqualFold(b.Hdr.Name, asked) && strings.EqualFold(b.Target, target) {
			return
		}
	}
	chain := append(slices.Clip(before), cname)
	if dns.IsSubDomain(q.zone, target) {
		name := strings.ToLower(target)
		relative := strings.TrimSuffix(name[:len(name)-len(q.zone)], ".")
		q.find(relative, target, chain)
		return
	}
	m, err := q.h.resolver.Lookup(q.ctx, q.state, target, q.kind)
	if err != nil || m == nil || m.Rcode == dns.RcodeServerFailure && len(m.Answer) == 0 {
		q.failed = true
		return
	}
	q.records = append(append(q.records, aliases(chain)...), m.Answer...)
	q.truncated = q.truncated || m.Truncated
}

func aliases(chain []*dns.CNAME) []dns.RR {
	var rrs []dns.RR
	for _, cname := range chain {
		rrs = append(rrs, cname)
	}
	return rrs
}
