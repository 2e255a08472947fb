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

package discovery

import (
	"iter"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// ownersOf are the Services that an address belongs to. The sharers are read
// first: disown makes one of them the owner before it takes it from them, so that
// a reader finds who stays in one of the two places, if not in both.
func (x *Index) ownersOf(a address) iter.Seq[*service] {
	return func(yield func(*service) bool) {
		sharers, _ := x.sharers.get(a)
		first, found := x.owners.get(a)
		if !found || !yield(first) {
			return
		}
		for _, s := range sharers {
			if s != first && !yield(s) {
				return
			}
		}
	}
}

// own notes that s has the address. Readers may hold what is there: it is
// copied, not changed.
func (x *Index) own(a address, s *service) {
	if _, found := x.owners.get(a); !found {
		x.owners.set(a, s)
		return
	}
	sharers, _ := x.sharers.get(a)
	x.sharers.set(a, append(slices.Clone(sharers), s))
}

func (x *Index) disown(a address, s *service) {
	left := slices.DeleteFunc(slices.Collect(x.ownersOf(a)), func(other *service) bool { return other == s })
	if len(left) == 0 {
		x.owners.delete(a)
	} else {
		x.owners.set(a, left[0])
	}
	if len(left) > 1 {
		x.sharers.set(a, left[1:])
	} else {
		x.sharers.delete(a)
	}
}

// without are the addresses of e that other does not have, each once.
func (e *entry) without(other *entry) iter.Seq[address] {
	return func(yield func(address) bool) {
		var seen []address
		next := func(a address) bool {
			if other.has(a) || slices.Contains(seen, a) {
				return true
			}
			seen = append(seen, a)
			return yield(a)
		}
		for _, a := range e.addresses {
			if !next(a) {
				return
			}
		}
		for _, s := range e.slices {
			same := other.slice(s.name) // most are there
			if same == s {
				continue
			}
			for _, a := range s.addresses {
				if (same == nil || !slices.Contains(same.addresses, a)) && !next(a) {
					return
				}
			}
		}
	}
}

func (e *entry) equal(other *entry) bool {
	return e.kind == other.kind && e.target == other.target && slices.Equal(e.addresses, other.addresses) && slices.Equal(e.ports, other.ports) &&
		slices.EqualFunc(e.slices, other.slices, (*slice).equal)
}

func (s *slice) equal(other *slice) bool {
	return s == other || s.name == other.name && slices.Equal(s.ports, other.ports) && slices.Equal(s.addresses, other.addresses) &&
		slices.Equal(s.hosts, other.hosts)
}

// podAddresses are those of a pod that runs or will.
func podAddresses(pod *corev1.Pod) []address {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return nil
	}
	var addresses []address
	for _, ip := range pod.Status.PodIPs {
		if a, err := netip.ParseAddr(ip.IP); err == nil {
			addresses = append(addresses, pack(a))
		}
	}
	return addresses
}
