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
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

// crowd makes the kernel track n answered flows to a hundred Services, all but
// a tenth of them TCP, and is those Services' destinations.
func crowd(b *testing.B, c *Cleaner, n int) (udp, tcp []Destination) {
	b.Helper()
	const services = 100
	flows := make([]flow, 0, n)
	for i := range n {
		f := flow{protocol: model.TCP, to: at(model.IPv4, 96, byte(i%services), 80), endpoint: at(model.IPv4, 2, byte(i%services), 8080), replied: true}
		if i%10 == 0 {
			f.protocol = model.UDP
		}
		f.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, 16, byte(i / services >> 8), byte(i / services)}), uint16(1000+i%services))
		flows = append(flows, f)
	}
	insert(b, c, flows...)
	for i := range byte(services) {
		udp = append(udp, Destination{model.UDP, at(model.IPv4, 96, i, 80)})
		tcp = append(tcp, Destination{model.TCP, at(model.IPv4, 96, i, 80)})
	}
	return udp, tcp
}

// keeping is a Sweep that finds nothing to delete, so that each round does the
// same work.
func keeping(to []Destination) Sweep {
	var s Sweep
	for _, d := range to {
		s.Stale = append(s.Stale, Stale{
			Protocol: d.Protocol, Addrs: []netip.Addr{d.Addr.Addr()}, Port: d.Addr.Port(),
			Allowed: []netip.AddrPort{at(model.IPv4, 2, d.Addr.Addr().As4()[3], 8080)}, UnrepliedOnly: d.Protocol != model.UDP,
		})
	}
	return s
}

func BenchmarkSweep(b *testing.B) {
	for _, n := range []int{0, 200_000} {
		inNamespace(b, func(c *Cleaner) {
			udp, tcp := crowd(b, c, n)
			for name, what := range map[string]Sweep{
				"one-udp-destination":  keeping(udp[:1]),
				"100-udp-destinations": keeping(udp),
				"one-tcp-destination":  keeping(tcp[:1]),
				"100-tcp-destinations": keeping(tcp),
				"one-untranslated-tcp": {Untranslated: tcp[:1]},
				"100-untranslated-tcp": {Untranslated: tcp},
			} {
				b.Run(fmt.Sprintf("%d-entries/%s", n, name), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if deleted, err := c.Sweep(context.Background(), what); err != nil || deleted != 0 {
							b.Fatal(deleted, err)
						}
					}
				})
			}
			b.Run(fmt.Sprintf("%d-entries/traffic", n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if got, err := traffic(context.Background(), c.conn, slices.Concat(udp, tcp)); err != nil || n > 0 && len(got.ByDestination) != 100 {
						b.Fatal(got, err)
					}
				}
			})
			b.Run(fmt.Sprintf("%d-entries/all-without-filter", n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					var list nfnl.Messages
					list.Begin(getEntry, 0, familyNumber(model.IPv4), "listing entries")
					seen := 0
					err := c.conn.Dump(&list, func() { seen = 0 }, func(_ uint8, a nfnl.Attributes) {
						if parseEntry(a).translated() {
							seen++
						}
					})
					if err != nil || seen != n {
						b.Fatal(seen, err)
					}
				}
			})
		})
	}
}

func BenchmarkDelete(b *testing.B) {
	const n = 20_000
	inNamespace(b, func(c *Cleaner) {
		for b.Loop() {
			b.StopTimer()
			_, _ = crowd(b, c, n)
			b.StartTimer()
			var what Sweep
			for i := range byte(100) {
				what.Stale = append(what.Stale, Stale{Protocol: model.UDP, Addrs: []netip.Addr{at(model.IPv4, 96, i, 0).Addr()}, Port: 80})
			}
			if deleted, err := c.Sweep(context.Background(), what); err != nil || deleted != n/10 {
				b.Fatal(deleted, err)
			}
			b.StopTimer()
			if err := flush(c); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		b.ReportMetric(n/10, "deleted/op")
	})
}

func flush(c *Cleaner) error {
	var m nfnl.Messages
	m.Begin(deleteEntry, 0, 0, "deleting all entries")
	return c.conn.Request(&m)
}

func BenchmarkParse(b *testing.B) {
	a := encoded(flow{model.UDP, at(model.IPv4, 1, 1, 1000), at(model.IPv4, 96, 1, 53), at(model.IPv4, 2, 1, 53), true})
	wanted := keeping([]Destination{{model.UDP, at(model.IPv4, 96, 1, 53)}}).selection()
	b.ReportAllocs()
	for b.Loop() {
		_ = wanted.doomed(parseEntry(a))
	}
}
