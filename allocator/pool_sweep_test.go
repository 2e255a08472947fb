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

package allocator

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	diff "github.com/google/go-cmp/cmp"
)

// Pools at random against a model that asks every pool about every port.
func TestEveryPortIsOfThePoolWithPrecedence(t *testing.T) {
	const first, last = 30000, 30060
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var pools []PortPool
		for i := range random.IntN(9) {
			pool := portPool(fmt.Sprint(i), "", random.Int32N(3), random.Int64N(3))
			pool.AutoAssign = random.IntN(4) > 0
			for range 1 + random.IntN(3) {
				from := first + random.Int32N(last-first-8)
				pool.Ranges = append(pool.Ranges, PortSpan{from, from + random.Int32N(9)})
				pool.Reserved = append(pool.Reserved, PortSpan{from, from + random.Int32N(2)})
			}
			pools = append(pools, pool)
		}
		set := newPools(pools, nil).ports
		byPrecedence := slices.SortedFunc(slices.Values(pools), func(a, b PortPool) int {
			return cmp.Or(cmp.Compare(b.Priority, a.Priority), a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
		})
		want, got := map[string][]string{}, map[string][]string{}
		for port := int32(first); port <= last; port++ {
			var having []string
			for _, pool := range byPrecedence {
				if !hasPort(pool.Ranges, port) {
					continue
				}
				for _, other := range having {
					want[pool.Name] = append(want[pool.Name], fmt.Sprintf("%d conflicts with %s", port, other))
				}
				if having = append(having, pool.Name); len(having) > 1 {
					continue
				}
				want[pool.Name] = append(want[pool.Name], fmt.Sprint(port))
				if pool.AutoAssign && !hasPort(pool.Reserved, port) {
					want[pool.Name] = append(want[pool.Name], fmt.Sprintf("%d by itself", port))
				}
				if i, ok := set.ownerOf(orderedPort(port)); !ok || set.pools[i].name != pool.Name {
					t.Errorf("the owner of %d is not %s", port, pool.Name)
				}
			}
			if _, owned := set.ownerOf(orderedPort(port)); owned != (len(having) > 0) || owned != set.all.contains(orderedPort(port)) {
				t.Errorf("%d has an owner: %v; pools that have it: %v; all: %v", port, owned, having, set.all)
			}
		}
		for _, pool := range set.pools {
			got[pool.name] = describeResolved(t, pool)
			slices.Sort(want[pool.name])
			if len(want[pool.name]) == 0 {
				delete(got, pool.name)
			}
		}
		if text := diff.Diff(want, got); text != "" {
			t.Fatalf("%+v (-want +got):\n%s", pools, text)
		}
	}
}

func hasPort(spans []PortSpan, port int32) bool {
	return slices.ContainsFunc(spans, func(s PortSpan) bool { return s.First <= port && port <= s.Last })
}

// describeResolved also checks that spans are in order and do not touch, and that
// conflicts come in the order of precedence.
func describeResolved(t *testing.T, pool resolvedPool[PortPool, orderedPort]) []string {
	t.Helper()
	var texts []string
	for _, s := range pool.effective {
		for port := s.first; port <= s.last; port++ {
			texts = append(texts, fmt.Sprint(int32(port)))
		}
	}
	for _, s := range pool.automatic {
		for port := s.first; port <= s.last; port++ {
			texts = append(texts, fmt.Sprintf("%d by itself", int32(port)))
		}
	}
	for _, c := range pool.conflicts {
		for port := c.span.first; port <= c.span.last; port++ {
			texts = append(texts, fmt.Sprintf("%d conflicts with %s", int32(port), c.with))
		}
	}
	if again := newSpanSet(pool.effective); !slices.Equal(again, pool.effective) {
		t.Errorf("%s has %v, which are not spans in order with something between", pool.name, pool.effective)
	}
	if !slices.IsSortedFunc(pool.conflicts, conflict[orderedPort].compare) {
		t.Errorf("the conflicts of %s are in no order: %v", pool.name, pool.conflicts)
	}
	slices.Sort(texts)
	return texts
}
