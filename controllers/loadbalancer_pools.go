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

package controllers

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// defaultPoolGrace is how long a pool has to be gone before its Services lose
// their addresses: `kubectl replace --force` deletes it and makes it again.
const defaultPoolGrace = 5 * time.Second

// poolShelf are the address pools as they were last read, by name.
type poolShelf map[string]*shelvedPool

type shelvedPool struct {
	pool allocator.AddrPool
	uid  types.UID
	// generation is that of the spec.
	generation int64
	gone       time.Time // not set while it is there
	// makeshift is one that could never be read as a whole.
	makeshift bool
	// toldOf is the generation of which the user knows that it can not be read.
	toldOf int64
}

// poolSeen is a pool that exists. One that can not be read has an error.
type poolSeen struct {
	name       string
	uid        types.UID
	generation int64
	pool       allocator.AddrPool
	err        error
}

func poolsSeen(objects []v1alpha1.AddressPool) []poolSeen {
	var seen []poolSeen
	for i := range objects {
		pool, err := allocator.AddrPoolOf(&objects[i])
		if pool.Use == v1alpha1.UseLoadBalancer {
			seen = append(seen, poolSeen{objects[i].Name, objects[i].UID, objects[i].Generation, pool, err})
		}
	}
	return seen
}

// observe takes in the pools that there are, and reports whether they are others.
// Those that can not be read stay as they were, or are makeshift if that is not
// known. Those that have gone stay for a while, too; the wait is until the first of
// them has for long enough.
func (s poolShelf) observe(seen []poolSeen, now time.Time, grace time.Duration) (changed bool, wait time.Duration) {
	there := map[string]bool{}
	for _, pool := range seen {
		there[pool.name] = true
		known := s[pool.name]
		if pool.err != nil {
			if known != nil && !known.makeshift {
				known.gone = time.Time{}
				continue
			}
			pool.pool = makeshift(pool.pool)
		}
		changed = changed || known == nil || known.uid != pool.uid || known.generation != pool.generation
		next := &shelvedPool{pool: pool.pool, uid: pool.uid, generation: pool.generation, makeshift: pool.err != nil}
		if known != nil {
			next.toldOf = known.toldOf
		}
		s[pool.name] = next
	}
	for name, known := range s {
		if there[name] {
			continue
		}
		if known.gone.IsZero() {
			known.gone = now
		}
		left := known.gone.Add(grace).Sub(now)
		switch {
		case left <= 0:
			delete(s, name)
			changed = true
		case wait == 0 || left < wait:
			wait = left
		}
	}
	return changed, wait
}

// keepForAWhile has addresses that no pool has stay with who has them, as if their
// pool had just been deleted: at the start nobody knows whether it was. It reports
// whether there are any.
func (s poolShelf) keepForAWhile(addrs []netip.Addr, now time.Time) bool {
	set := allocator.NewAddrPoolSet(v1alpha1.UseLoadBalancer, s.all())
	var left []allocator.AddrSpan
	for _, addr := range addrs {
		if _, owned := set.OwnerOf(addr); !owned {
			left = append(left, allocator.AddrSpan{First: addr, Last: addr})
		}
	}
	if len(left) == 0 {
		return false
	}
	slices.SortFunc(left, func(a, b allocator.AddrSpan) int { return a.First.Compare(b.First) })
	// Whatever pool comes has precedence.
	pool := allocator.AddrPool{Use: v1alpha1.UseLoadBalancer, Priority: -1, Created: now, Ranges: left}
	s[""] = &shelvedPool{pool: makeshift(pool), gone: now, makeshift: true}
	return true
}

// makeshift is a pool that can not be read, where nobody remembers what it was. For
// all that is known each of its addresses may be somebody's by right, and nobody
// gets another.
func makeshift(pool allocator.AddrPool) allocator.AddrPool {
	pool.Disabled, pool.Namespaces, pool.Services = true, nil, nil
	return pool
}

// isNewlyIllegible reports once of each version of a pool that it can not be read.
func (s poolShelf) isNewlyIllegible(pool *poolSeen) bool {
	known := s[pool.name]
	if pool.err == nil || known == nil || known.toldOf == pool.generation {
		return false
	}
	known.toldOf = pool.generation
	return true
}

func poolRef(pool *poolSeen) *v1alpha1.AddressPool {
	return &v1alpha1.AddressPool{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AddressPool"},
		ObjectMeta: metav1.ObjectMeta{Name: pool.name, UID: pool.uid},
	}
}

// all are the pools by name.
func (s poolShelf) all() []allocator.AddrPool {
	var pools []allocator.AddrPool
	for _, shelved := range slices.SortedFunc(maps.Values(s), func(a, b *shelvedPool) int { return strings.Compare(a.pool.Name, b.pool.Name) }) {
		pools = append(pools, shelved.pool)
	}
	return pools
}
