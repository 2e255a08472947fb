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

package conntrack

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

// encoded is a flow as the kernel lists it, read by the parser.
func encoded(f flow) nfnl.Attributes {
	var m nfnl.Messages
	m.Begin(getEntry, 0, 0, "")
	status := uint32(0)
	if f.replied {
		status |= statusSeenReply
	}
	answering := f.to
	if f.endpoint.IsValid() {
		status |= statusTranslated
		answering = f.endpoint
	}
	writeTuple(&m, ctaOriginal, f.protocol, f.from, f.to)
	writeTuple(&m, ctaReply, f.protocol, answering, f.from)
	m.Uint32(ctaStatus, status)
	m.Uint32(ctaID, 7)
	return m.LastAttributes()
}

func TestEntriesAreReadAsTheyAre(t *testing.T) {
	for _, family := range families {
		f := flow{model.UDP, at(family, 1, 1, 1000), at(family, 96, 1, 53), at(family, 2, 1, 5353), true}
		want := entry{Destination{model.UDP, f.to}, f.endpoint, statusSeenReply | statusTranslated}
		if diff := cmp.Diff(want, parseEntry(encoded(f)), cmp.AllowUnexported(entry{}), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestWhatHasToGo(t *testing.T) {
	vip, alive, gone := at(model.IPv4, 96, 1, 53), at(model.IPv4, 2, 1, 53), at(model.IPv4, 2, 2, 53)
	stale := func(protocol model.Protocol, unreplied bool, allowed ...netip.AddrPort) Stale {
		return Stale{Protocol: protocol, Addrs: []netip.Addr{vip.Addr()}, Port: 53, Allowed: allowed, UnrepliedOnly: unreplied}
	}
	for name, tc := range map[string]struct {
		what Sweep
		flow flow
		want bool
	}{
		"a UDP flow to an endpoint that is gone":        {Sweep{Stale: []Stale{stale(model.UDP, false, alive)}}, flow{protocol: model.UDP, endpoint: gone, replied: true}, true},
		"a UDP flow to one that lives":                  {Sweep{Stale: []Stale{stale(model.UDP, false, alive)}}, flow{protocol: model.UDP, endpoint: alive}, false},
		"an answered UDP flow when those are spared":    {Sweep{Stale: []Stale{stale(model.UDP, true, alive)}}, flow{protocol: model.UDP, endpoint: gone, replied: true}, false},
		"a UDP flow when no endpoint is left":           {Sweep{Stale: []Stale{stale(model.UDP, false)}}, flow{protocol: model.UDP, endpoint: alive}, true},
		"a UDP flow that was let through":               {Sweep{Stale: []Stale{stale(model.UDP, false, alive)}}, flow{protocol: model.UDP}, true},
		"a TCP client without an answer":                {Sweep{Stale: []Stale{stale(model.TCP, true, alive)}}, flow{protocol: model.TCP, endpoint: gone}, true},
		"an answered TCP client":                        {Sweep{Stale: []Stale{stale(model.TCP, true, alive)}}, flow{protocol: model.TCP, endpoint: gone, replied: true}, false},
		"an answered TCP client, whatever is asked":     {Sweep{Stale: []Stale{stale(model.TCP, false)}}, flow{protocol: model.TCP, endpoint: gone, replied: true}, false},
		"an answered SCTP client, whatever is asked":    {Sweep{Stale: []Stale{stale(model.SCTP, false)}, Untranslated: []Destination{{model.SCTP, vip}}}, flow{protocol: model.SCTP, replied: true}, false},
		"an untranslated flow":                          {Sweep{Untranslated: []Destination{{model.UDP, vip}}}, flow{protocol: model.UDP, replied: true}, true},
		"a translated flow where untranslated ones go":  {Sweep{Untranslated: []Destination{{model.UDP, vip}}}, flow{protocol: model.UDP, endpoint: gone}, false},
		"what one of two requests allows":               {Sweep{Stale: []Stale{stale(model.UDP, false, alive), stale(model.UDP, false, gone)}}, flow{protocol: model.UDP, endpoint: gone}, false},
		"what the first of two requests spares":         {Sweep{Stale: []Stale{stale(model.UDP, true), stale(model.UDP, false)}}, flow{protocol: model.UDP, endpoint: gone, replied: true}, false},
		"what the second of two requests spares":        {Sweep{Stale: []Stale{stale(model.UDP, false), stale(model.UDP, true)}}, flow{protocol: model.UDP, endpoint: gone, replied: true}, false},
		"the same destination of another protocol":      {Sweep{Stale: []Stale{stale(model.TCP, true)}}, flow{protocol: model.UDP, endpoint: gone}, false},
		"an IPv4 address that a Service writes as IPv6": {Sweep{Stale: []Stale{{Protocol: model.UDP, Addrs: []netip.Addr{netip.AddrFrom16(vip.Addr().As16())}, Port: 53}}}, flow{protocol: model.UDP, endpoint: gone}, true},
	} {
		tc.flow.from, tc.flow.to = at(model.IPv4, 1, 1, 1000), vip
		if got := tc.what.selection().doomed(parseEntry(encoded(tc.flow))); got != tc.want {
			t.Errorf("%s: deleted %v, want %v", name, got, tc.want)
		}
	}
}

func TestTheKernelIsAskedForNoMoreThanIsNeeded(t *testing.T) {
	one, other, six := at(model.IPv4, 96, 1, 53), at(model.IPv4, 96, 2, 53), at(model.IPv6, 96, 1, 53)
	stale := func(protocol model.Protocol, unreplied bool, to ...netip.AddrPort) (list []Stale) {
		for _, addr := range to {
			list = append(list, Stale{Protocol: protocol, Addrs: []netip.Addr{addr.Addr()}, Port: addr.Port(), UnrepliedOnly: unreplied})
		}
		return list
	}
	for name, tc := range map[string]struct {
		what Sweep
		want map[group]filter
	}{
		"one destination": {
			Sweep{Stale: stale(model.UDP, false, one)},
			map[group]filter{{model.IPv4, false}: {protocol: model.UDP, addr: one.Addr(), port: 53}},
		},
		"two addresses, one port": {
			Sweep{Stale: stale(model.UDP, false, one, other)},
			map[group]filter{{model.IPv4, false}: {protocol: model.UDP, port: 53}},
		},
		"two families": {
			Sweep{Stale: stale(model.UDP, false, one, six)},
			map[group]filter{
				{model.IPv4, false}: {protocol: model.UDP, addr: one.Addr(), port: 53},
				{model.IPv6, false}: {protocol: model.UDP, addr: six.Addr(), port: 53},
			},
		},
		"TCP and SCTP share a walk": {
			Sweep{Stale: append(stale(model.TCP, true, one), stale(model.SCTP, true, one)...)},
			map[group]filter{{model.IPv4, true}: {addr: one.Addr(), port: 53, statusMask: statusSeenReply}},
		},
		"only untranslated ones": {
			Sweep{Untranslated: []Destination{{model.UDP, one}, {model.TCP, one}}},
			map[group]filter{
				{model.IPv4, false}: {protocol: model.UDP, addr: one.Addr(), port: 53, statusMask: statusTranslated},
				{model.IPv4, true}:  {protocol: model.TCP, addr: one.Addr(), port: 53, statusMask: statusTranslated | statusSeenReply},
			},
		},
		"untranslated and stale ones": {
			Sweep{Untranslated: []Destination{{model.UDP, one}}, Stale: stale(model.UDP, true, one)},
			map[group]filter{{model.IPv4, false}: {protocol: model.UDP, addr: one.Addr(), port: 53}},
		},
		"UDP that was never answered": {
			Sweep{Stale: stale(model.UDP, true, one)},
			map[group]filter{{model.IPv4, false}: {protocol: model.UDP, addr: one.Addr(), port: 53, statusMask: statusSeenReply}},
		},
	} {
		got := map[group]filter{}
		for g, part := range tc.what.selection().groups() {
			got[g] = part.filter(g)
		}
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(filter{}, group{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

// FuzzEntry reads what no kernel would send.
func FuzzEntry(f *testing.F) {
	for _, family := range families {
		f.Add([]byte(encoded(flow{model.UDP, at(family, 1, 1, 1000), at(family, 96, 1, 53), at(family, 2, 1, 53), true})))
	}
	everything := Sweep{Stale: []Stale{{Protocol: model.UDP, Addrs: []netip.Addr{at(model.IPv4, 96, 1, 0).Addr()}, Port: 53}}}.selection()
	f.Fuzz(func(t *testing.T, data []byte) {
		a := nfnl.Attributes(data)
		e := parseEntry(a)
		if everything.doomed(e) && (e.sentTo.Addr != at(model.IPv4, 96, 1, 53) || e.sentTo.Protocol != model.UDP) {
			t.Errorf("%+v is doomed", e)
		}
		id := identify(a)
		var m nfnl.Messages
		m.Begin(deleteEntry, 0, 0, "")
		id.append(&m)
		if id.tuple != nil && parseEntry(m.LastAttributes()).sentTo != e.sentTo {
			t.Errorf("the request would delete an entry to %v in place of %v", parseEntry(m.LastAttributes()).sentTo, e.sentTo)
		}
		_ = parseCounters(a)
	})
}
