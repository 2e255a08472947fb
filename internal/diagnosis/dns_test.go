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

package diagnosis

import (
	"net/netip"
	"testing"
)

func TestDNS(t *testing.T) {
	answers := func(texts ...string) *DNS {
		d := &DNS{Name: "web.shop.svc.cluster.local.", Server: "10.0.0.2"}
		for _, text := range texts {
			d.Addresses = append(d.Addresses, netip.MustParseAddr(text))
		}
		return d
	}
	headless := func(f *Facts) { f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs = "None", []string{"None"} }
	cname := func(target string) func(*Facts) {
		return func(f *Facts) {
			externalName(f, "db.example.org")
			f.DNS = answers()
			f.DNS.CNAME = target
		}
	}
	examined(t, map[string]outcome{
		"nobody asked":          {state: OK, check: CheckDNS, message: "its name is web.shop.svc.corp.example; no DNS server was asked for it", change: func(f *Facts) { f.Zone = "corp.example" }},
		"the ClusterIP":         {state: OK, change: func(f *Facts) { f.DNS = answers("10.0.0.10") }},
		"one of two families":   {state: OK, change: func(f *Facts) { f.dualStack(); f.DNS = answers("fd00::10") }},
		"endpoints":             {state: OK, change: func(f *Facts) { headless(f); f.DNS = answers("10.1.0.1", "10.1.0.3") }},
		"the name":              {state: OK, change: cname("DB.example.org.")},
		"no answer":             {state: Problem, check: CheckDNS, want: DNSNoAnswer, says: []string{"web.shop.svc.cluster.local is not answered: NXDOMAIN (asked 10.0.0.2)"}, change: func(f *Facts) { f.DNS = answers(); f.DNS.Problem = "NXDOMAIN" }},
		"an empty answer":       {state: Problem, check: CheckDNS, want: DNSNoAnswer, says: []string{"has no address"}, change: func(f *Facts) { f.DNS = answers() }},
		"another address":       {state: Problem, check: CheckDNS, want: DNSWrongAnswer, says: []string{"address 10.0.0.99, which is not the Service's"}, change: func(f *Facts) { f.DNS = answers("10.0.0.99") }},
		"another address, too":  {state: Warning, check: CheckDNS, want: DNSWrongAnswer, change: func(f *Facts) { f.DNS = answers("10.0.0.99", "10.0.0.10") }},
		"an endpoint of before": {state: Warning, check: CheckDNS, want: DNSWrongAnswer, change: func(f *Facts) { headless(f); f.DNS = answers("10.1.0.1", "10.1.0.7") }},
		"another name":          {state: Warning, check: CheckDNS, want: DNSWrongAnswer, says: []string{"leads to old.example.org instead of db.example.org"}, change: cname("old.example.org")},
		"a target that is not there": {state: Problem, check: CheckDNS, want: DNSNoAnswer, says: []string{"see whether db.example.org exists"}, change: func(f *Facts) {
			cname("")(f)
			f.DNS.Problem = "NXDOMAIN"
		}},
		"no endpoint is why there is no answer": {state: Problem, check: CheckReadiness, want: PodsNotReady, change: func(f *Facts) {
			headless(f)
			f.eachPod(probeFails)
			f.DNS = answers()
			f.DNS.Problem = "NXDOMAIN"
		}},
	})
}
