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
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// source is where the numbers of one Service come from.
type source struct {
	stages []stage
	// pools are those of the Service, by index, in the order in which they give;
	// none for a Service that gets what is in no pool.
	pools []int
	// describe names them for a message: pool red (30100-30199).
	describe []string
	names    []string
	// manual says that the Service has pools, none of which gives by itself.
	manual bool
	// restricted says that not every number of the range will do, so that the
	// choice is not the server's.
	restricted bool
	// guarded says that it is not the server's for a moment, as it could draw a
	// reserved number.
	guarded bool
}

// portSource is where the ports of a namespace come from.
func (s *Services) portSource(namespace labels.Set) source {
	selected := selectPools(s.pools.ports.pools, func(p PortPool) (bool, int32, bool) {
		return p.Selects(namespace), p.Priority, p.AutoAssign
	})
	if len(selected.pools) == 0 {
		return source{stages: outsidePools, restricted: s.ranges.portWindows.restricted}
	}
	for _, i := range selected.pools {
		pool := s.pools.ports.pools[i]
		selected.names = append(selected.names, pool.name)
		selected.describe = append(selected.describe, describePool(pool.name, publicPorts(pool.effective)))
	}
	return selected
}

// addrSource is where the ClusterIPs of one family come from. A pool says
// nothing about a family that it has no address of.
func (s *Services) addrSource(family corev1.IPFamily, namespace, service labels.Set) source {
	pools := s.pools.addrs[v1alpha1.UseClusterIP].pools
	selected := selectPools(pools, func(p AddrPool) (bool, int32, bool) {
		ofFamily := func(span AddrSpan) bool { return familyOf(span.First) == family }
		return slices.ContainsFunc(p.Ranges, ofFamily) && p.Selects(namespace, service), p.Priority, p.AutoAssign
	})
	if len(selected.pools) == 0 {
		restricted := func(a addrRange) bool { return a.windows.restricted }
		return source{stages: outsidePools, restricted: slices.ContainsFunc(s.ranges.open(family), restricted)}
	}
	for _, i := range selected.pools {
		selected.names = append(selected.names, pools[i].name)
		selected.describe = append(selected.describe, describePool(pools[i].name, publicAddrs(pools[i].effective)))
	}
	return selected
}

// selectPools orders the pools of a Service by priority; they are by name.
func selectPools[P any, N ordered[N]](pools []resolvedPool[P, N], judge func(P) (selected bool, priority int32, automatic bool)) source {
	found := source{restricted: true}
	priorities := map[int]int32{}
	for i, pool := range pools {
		if selected, priority, _ := judge(pool.pool); selected {
			found.pools = append(found.pools, i)
			priorities[i] = priority
		}
	}
	slices.SortStableFunc(found.pools, func(a, b int) int { return cmp.Compare(priorities[b], priorities[a]) })
	for _, i := range found.pools {
		if _, _, automatic := judge(pools[i].pool); automatic {
			found.stages = append(found.stages, stage(i))
		}
	}
	found.manual = len(found.pools) > 0 && len(found.stages) == 0
	return found
}

// describePool names a pool and what is its own of it, not at any length.
func describePool[S fmt.Stringer](name string, spans []S) string {
	const most = 3
	var texts []string
	for _, s := range spans[:min(len(spans), most)] {
		texts = append(texts, s.String())
	}
	if len(spans) > most {
		texts = append(texts, "...")
	}
	if texts == nil {
		texts = []string{"all of it belongs to other pools"}
	}
	return fmt.Sprintf("pool %s (%s)", name, strings.Join(texts, ", "))
}

// describeSource names where a demand could have been met from.
func (s *Services) describeSource(d demand, from source) string {
	if len(from.pools) > 0 {
		return strings.Join(from.describe, ", ")
	}
	ranges := s.ranges.ports.String()
	if d.field.Kind == ClusterIP {
		ranges = s.ranges.describeFamily(d.family)
	}
	if from.restricted {
		ranges += " outside of the pools"
	}
	return ranges
}

// allows reports whether an automatic choice from the source may be the number.
func (s *Services) allows(from source, n Number) bool {
	if n.IsPort() {
		return allowsIn(s.ranges.ports, s.ranges.portWindows, from, n.Port)
	}
	return slices.ContainsFunc(s.ranges.open(familyOf(n.Addr)), func(a addrRange) bool {
		return allowsIn(a.Addrs, a.windows, from, n.Addr)
	})
}

func allowsIn[N any](r *Range[N], w *windows, from source, number N) bool {
	offset, ok := r.space.offset(number)
	return ok && slices.ContainsFunc(from.stages, func(s stage) bool { return w.at(s).has(offset) })
}
