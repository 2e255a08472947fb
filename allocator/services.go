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
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Services is an index over all Services: which numbers are held and by whom,
// which are claimed by requests that are under way, which are reserved, and which
// pools they belong to. It is fed in any order and any number of times; what it
// holds depends only on what exists. It is safe for concurrent use.
//
// A number is marked used in its ranges exactly while it has a holder, a claim, a
// reservation or a placeholder.
type Services struct {
	ready atomic.Bool

	mu       sync.RWMutex
	ranges   ranges
	families []corev1.IPFamily // of the cluster, the default first
	holders  map[Number][]Holder
	claims   map[Number]Claim
	seen     map[types.NamespacedName]seen
	users    map[useKey][]types.NamespacedName // of addresses that are no ClusterIPs
	gone     recent[types.UID]                 // Services that were taken out

	isPlaceholder func(*corev1.Service) bool
	placeholders  map[Number]types.NamespacedName

	pools        pools
	reservations map[Number]Reservation
	reservedFor  map[types.NamespacedName][]Number // "" for reservations for nobody
	reserving    recent[Number]                    // numbers that were reserved, or no longer
}

// seen is what the index holds for one Service.
type seen struct {
	uid      types.UID
	version  string
	created  time.Time
	holdings []Holding
	placed   []Number // held for whoever they are reserved for
	uses     []useKey
	// read past the cache: the watch has yet to tell of it, so that the first list of
	// the cache may be without it.
	read bool
}

// NewServices is an empty index, not ready, that knows no service CIDR yet.
func NewServices(nodePorts PortSpan) *Services {
	s := &Services{
		ranges:  ranges{ports: NewPorts(nodePorts)},
		holders: map[Number][]Holder{},
		claims:  map[Number]Claim{},
		seen:    map[types.NamespacedName]seen{},
		users:   map[useKey][]types.NamespacedName{},

		isPlaceholder: func(*corev1.Service) bool { return false },
		placeholders:  map[Number]types.NamespacedName{},

		reservations: map[Number]Reservation{},
		reservedFor:  map[types.NamespacedName][]Number{},
	}
	s.ranges.usePools(s.pools)
	return s
}

// SetPlaceholders says which Services hold their ports only for the Services that
// these are reserved for: whoever gets such a port is not refused because of the
// placeholder. It is called before the index is fed.
func (s *Services) SetPlaceholders(is func(*corev1.Service) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isPlaceholder = is
}

// Ready reports whether the index holds all Services that exist.
func (s *Services) Ready() bool { return s.ready.Load() }

// SetReady says that from now on the index holds all Services that exist.
func (s *Services) SetReady() { s.ready.Store(true) }

// SetServiceCIDRs replaces the ranges of ClusterIPs. Families are those of the
// default ServiceCIDR, which is what the API server was started with: further
// ServiceCIDRs add addresses, not families. The first one is that of Services
// that name none; without any, ClusterIPs are left to the server. On error
// nothing is changed.
func (s *Services) SetServiceCIDRs(families []corev1.IPFamily, cidrs []ServiceCIDR) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := newRanges(s.ranges.ports, cidrs)
	if err != nil {
		return err
	}
	s.families = slices.Clone(families)
	if slices.EqualFunc(next.addrs, s.ranges.addrs, func(a, b addrRange) bool { return a.cidr == b.cidr }) {
		return nil // a repeated event, or a look past the cache that found nothing new
	}
	next.usePools(s.pools)
	s.ranges = next
	for n := range s.holders {
		s.ranges.mark(n, true)
	}
	for n := range s.claims {
		s.ranges.mark(n, true)
	}
	for n := range s.reservations {
		s.ranges.mark(n, true)
	}
	for n := range s.placeholders {
		s.ranges.mark(n, true)
	}
	return nil
}

// Observe takes in a Service as it is now. A version older than the one held is
// ignored, so that a late event does not undo what a direct read has told, also
// if that was about another Service of the same name.
func (s *Services) Observe(service *corev1.Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observe(service)
}

// observe reports whether the Service was new to the index, or has changed.
func (s *Services) observe(service *corev1.Service) (changed bool) {
	key := keyOf(service)
	old, known := s.seen[key]
	if known && older(service.ResourceVersion, old.version) {
		return false
	}
	now := s.look(service)
	s.seen[key] = now
	if known && old.uid == now.uid && slices.Equal(old.holdings, now.holdings) &&
		slices.Equal(old.placed, now.placed) && slices.Equal(old.uses, now.uses) {
		return false
	}
	s.dropHoldings(key, old)
	s.addUses(key, now.uses)
	for _, n := range now.placed {
		s.placeholders[n] = key
		s.ranges.mark(n, true)
	}
	for _, holding := range now.holdings {
		holder := Holder{Kind: holding.Kind, Service: key, UID: now.uid, Created: now.created}
		s.holders[holding.Number] = append(s.holders[holding.Number], holder)
		s.bind(holding.Number, key)
		s.ranges.mark(holding.Number, true)
	}
	return true
}

func (s *Services) look(service *corev1.Service) seen {
	now := seen{
		uid:      service.UID,
		version:  service.ResourceVersion,
		created:  service.CreationTimestamp.Time,
		holdings: HoldingsOf(service),
		uses:     usesOf(service),
	}
	if s.isPlaceholder(service) {
		now.holdings = slices.DeleteFunc(now.holdings, func(h Holding) bool {
			if h.Number.IsPort() {
				now.placed = append(now.placed, h.Number)
			}
			return h.Number.IsPort()
		})
	}
	return now
}

// Forget takes out a Service that is gone. A UID other than the one held, which
// means that the Service was created again, changes nothing.
func (s *Services) Forget(key types.NamespacedName, uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, known := s.seen[key]; known && uid == old.uid {
		s.drop(key)
	}
}

func (s *Services) drop(key types.NamespacedName) {
	old := s.seen[key]
	s.dropHoldings(key, old)
	delete(s.seen, key)
	s.gone.note(old.uid)
}

func (s *Services) dropHoldings(key types.NamespacedName, old seen) {
	for _, holding := range old.holdings {
		left := slices.DeleteFunc(s.holders[holding.Number], func(h Holder) bool { return h.Service == key })
		if len(left) > 0 {
			s.holders[holding.Number] = left
			continue
		}
		delete(s.holders, holding.Number)
		s.unmarkUnused(holding.Number)
	}
	for _, n := range old.placed {
		if s.placeholders[n] == key {
			delete(s.placeholders, n)
			s.unmarkUnused(n)
		}
	}
	s.dropUses(key, old.uses)
}

func (s *Services) unmarkUnused(n Number) {
	_, claimed := s.claims[n]
	_, reserved := s.reservations[n]
	_, placed := s.placeholders[n]
	if !claimed && !reserved && !placed && len(s.holders[n]) == 0 {
		s.ranges.mark(n, false)
	}
}

// Drift is what Rebuild found different from the Services.
type Drift struct {
	Leaked  int // numbers the index held for nobody
	Missing int // numbers Services hold and the index did not
}

// Rebuild makes the index that of exactly these Services, and says what it had
// wrong. The items are not kept.
func (s *Services) Rebuild(services []corev1.Service) Drift {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := make(map[Number]struct{}, len(s.holders))
	for n := range s.holders {
		before[n] = struct{}{}
	}
	s.keepOnly(services)
	for i := range services {
		s.observe(&services[i])
	}
	return drift(before, s.holders)
}

func (s *Services) keepOnly(services []corev1.Service) {
	exists := make(map[types.NamespacedName]types.UID, len(services))
	for i := range services {
		exists[keyOf(&services[i])] = services[i].UID
	}
	for key, old := range s.seen {
		if old.read {
			old.read = false
			s.seen[key] = old
			continue
		}
		if uid, ok := exists[key]; !ok || uid != old.uid {
			s.drop(key)
		}
	}
}

func drift(before map[Number]struct{}, after map[Number][]Holder) Drift {
	var d Drift
	for n := range before {
		if _, ok := after[n]; !ok {
			d.Leaked++
		}
	}
	for n := range after {
		if _, ok := before[n]; !ok {
			d.Missing++
		}
	}
	return d
}

func keyOf(service *corev1.Service) types.NamespacedName {
	return types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
}

// older compares resource versions, which are ordered since Kubernetes 1.35
// (KEP-5504); where they can not be compared, nothing is older.
func older(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order < 0
}
