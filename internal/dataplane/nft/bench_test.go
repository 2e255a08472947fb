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

package nft_test

import (
	"context"
	"net/netip"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

const (
	manyPorts     = 10_000
	manyEndpoints = 10
)

func many() []policy.Decision {
	all := make([]policy.Decision, manyPorts)
	for i := range all {
		all[i] = decision(model.IPv4, i, manyEndpoints)
		all[i].Near = nil // the pods of other nodes, as most are
	}
	return all
}

// BenchmarkLoad writes 10,000 ServicePorts with 10 endpoints each into an
// empty namespace.
func BenchmarkLoad(b *testing.B) {
	all := many()
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		table := open(b, newNamespace(b), model.IPv4, nft.Options{})
		b.StartTimer()
		fullSync(b, table, node(model.IPv4), all)
	}
	b.ReportMetric(manyPorts*manyEndpoints, "endpoints/op")
}

// BenchmarkAdopt lists and compares the same, and finds nothing to do.
func BenchmarkAdopt(b *testing.B) {
	all := many()
	b.ReportAllocs()
	ns := newNamespace(b)
	fullSync(b, open(b, ns, model.IPv4, nft.Options{}), node(model.IPv4), all)
	for b.Loop() {
		if result := fullSync(b, open(b, ns, model.IPv4, nft.Options{}), node(model.IPv4), all); result.Transactions > 0 {
			b.Fatalf("%+v", result)
		}
	}
}

// BenchmarkApplyOneEndpoint replaces one endpoint among them, planned,
// committed and acknowledged.
func BenchmarkApplyOneEndpoint(b *testing.B) {
	all := many()
	table := open(b, newNamespace(b), model.IPv4, nft.Options{})
	fullSync(b, table, node(model.IPv4), all)
	other := netip.AddrPortFrom(ip(model.IPv4, 99, 1), 8080)
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		d := all[n/2%manyPorts]
		d.Cluster = append([]netip.AddrPort(nil), d.Cluster...)
		if n%2 == 0 {
			d.Cluster[5] = other
		}
		if _, err := table.Apply(context.Background(), []policy.Decision{d}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkApplyOneServicePort adds and removes a whole ServicePort. As in the
// agent, the walk through conntrack for a frontend that appears is another's.
func BenchmarkApplyOneServicePort(b *testing.B) {
	benchmarkServicePort(b, nft.Options{Sweeper: conntrack.NewSweeper(nil, nil)}) // which does not run
}

// BenchmarkApplyOneServicePortAndWalk waits for that walk: most of it is the
// visit of every bucket, of which the kernel has up to 262,144.
func BenchmarkApplyOneServicePortAndWalk(b *testing.B) { benchmarkServicePort(b, nft.Options{}) }

func benchmarkServicePort(b *testing.B, opts nft.Options) {
	table := open(b, newNamespace(b), model.IPv4, opts)
	fullSync(b, table, node(model.IPv4), many())
	d := decision(model.IPv4, manyPorts+1, manyEndpoints)
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		changed, removed := []policy.Decision{d}, []model.ServicePortName(nil)
		if n%2 == 1 {
			changed, removed = nil, append(removed, d.Name)
		}
		if _, err := table.Apply(context.Background(), changed, removed); err != nil {
			b.Fatal(err)
		}
	}
}
