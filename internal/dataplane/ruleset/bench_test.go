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

package ruleset

import (
	"fmt"
	"net/netip"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

const (
	manyPorts     = 10_000
	manyEndpoints = 10
)

func many(family model.Family) []policy.Decision {
	all := make([]policy.Decision, manyPorts)
	for i := range all {
		all[i] = clusterIP(family, fmt.Sprintf("s%05d", i), i+1, model.TCP, nil)
		for e := range manyEndpoints {
			at := netip.AddrPortFrom(ip(family, podNet+i%50, i/50*manyEndpoints+e), 8080)
			all[i].Cluster = append(all[i].Cluster, at)
		}
	}
	return all
}

// BenchmarkOneEndpointReplaced plans the replacement of one endpoint among
// 10,000 ServicePorts with 10 endpoints each.
func BenchmarkOneEndpointReplaced(b *testing.B) {
	var p Planner
	all := many(model.IPv4)
	p.Sync(testNode(model.IPv4), all, nil)
	other := netip.AddrPortFrom(ip(model.IPv4, 99, 1), 8080)
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		d := all[n/2%manyPorts]
		d.Cluster = append([]netip.AddrPort(nil), d.Cluster...)
		if n%2 == 0 {
			d.Cluster[5] = other
		}
		if edits := p.Apply([]policy.Decision{d}, nil).Edits; len(edits) == 0 {
			b.Fatal("nothing to do")
		}
	}
}

// BenchmarkColdStart plans all of 10,000 ServicePorts with 10 endpoints each.
func BenchmarkColdStart(b *testing.B) {
	all := many(model.IPv4)
	b.ReportAllocs()
	for b.Loop() {
		var p Planner
		p.Sync(testNode(model.IPv4), all, nil)
	}
}
