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
	"slices"
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
		"nobody asked":          {state: OK, check: CheckDNS, message: "its name web.shop.svc.corp.example is 10.0.0.10; no DNS server was asked for it", change: func(f *Facts) { f.Zone = "corp.example" }},
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

// The name is in the chain whoever was asked, and with a problem beside it.
func TestNamesOfAService(t *testing.T) {
	const name = "web.shop.svc.cluster.local"
	for text, tc := range map[string]struct {
		change  func(*Facts)
		says    string
		details []string
	}{
		"a ClusterIP": {func(*Facts) {}, "its name " + name + " is 10.0.0.10; no DNS server was asked for it",
			[]string{"_http._tcp." + name + " is port 80 of " + name}},
		"a headless Service": {headlessly, "its name " + name + " is 10.1.0.1, 10.1.0.2 and 10.1.0.3; no DNS server was asked for it",
			[]string{"web-0." + name + " is 10.1.0.1", "10-1-0-2." + name + " is 10.1.0.2", "_http._tcp." + name + " is port 8080 of web-0." + name}},
		"one without a ready endpoint": {func(f *Facts) { headlessly(f); f.eachPod(probeFails); f.follow() }, "its name is " + name + ", and has no address while no endpoint is ready", nil},
		"one whose endpoints were not seen": {func(f *Facts) {
			headlessly(f)
			f.Slices, f.Unseen = nil, map[Kind]string{EndpointSlices: "forbidden"}
		}, "its name is " + name + ", and that of its endpoints, which could not be seen", nil},
		"an ExternalName":                {func(f *Facts) { externalName(f, "db.example.org") }, "its name " + name + " is db.example.org; no DNS server was asked for it", nil},
		"a Service that does not answer": {func(f *Facts) { f.eachPod(probeFails); f.follow() }, "its name " + name + " is 10.0.0.10; no DNS server was asked for it", nil},
	} {
		f := webFacts()
		f.Zone = DefaultZone
		f.follow()
		tc.change(f)
		step, made := Examine(f).Step(CheckDNS)
		if !made || step.State != OK || step.Message != tc.says {
			t.Errorf("%s: %+v, want %s", text, step, tc.says)
		}
		for _, detail := range tc.details {
			if !slices.Contains(step.Details, detail) {
				t.Errorf("%s: %q, want %s", text, step.Details, detail)
			}
		}
	}
	if step, made := Examine(webFacts()).Step(CheckDNS); made {
		t.Errorf("without a zone: %+v", step)
	}
}

// headlessly makes it a Service of the addresses of its pods, of which the first has
// a name.
func headlessly(f *Facts) {
	f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs = "None", []string{"None"}
	f.Slices[0].Endpoints[0].Hostname = new("web-0")
}
