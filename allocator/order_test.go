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
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// history is what became of one object: what the watch says of it, in order, and
// what somebody who reads past the cache could have learnt beside each of it.
type history []struct{ watch, read func(*Services) }

// The index is a function of what exists: whatever way the events of different
// objects mix, and whatever was read past the cache before the watch told of it,
// it ends as that of a replica which starts when all is over, and plans alike.
func TestTheIndexDoesNotDependOnTheOrderOfEvents(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for round := range 300 {
		var histories []history
		var cold []func(*Services)
		for _, make := range []func(*rand.Rand) (history, func(*Services)){
			serviceHistory("a", 0), serviceHistory("b", 10), serviceHistory("c", 20), placeholderHistory,
			claimHistory(30005), claimHistory(30006),
			reservationHistory(30007), reservationHistory(30001), addressHistory,
			poolHistory, cidrHistory,
		} {
			history, last := make(random)
			histories, cold = append(histories, history), append(cold, last)
		}
		want := orderIndex()
		for _, i := range random.Perm(len(cold)) {
			cold[i](want)
		}
		for range 3 {
			got := orderIndex()
			mix(random, got, histories)
			if diff := gocmp.Diff(dump(want), dump(got)); diff != "" {
				t.Fatalf("round %d: the index after all events, from that of a cold start (-cold +events):\n%s", round, diff)
			}
		}
	}
}

// orderIndex draws the first number of each window, so that plans can be compared.
func orderIndex() *Services {
	index := NewServices(PortSpan{30000, 30019})
	index.SetPlaceholders(func(s *corev1.Service) bool { return s.Namespace == "system" })
	index.ranges.ports.random = func(uint64) uint64 { return 0 }
	return index
}

// mix plays all histories, each in its order.
func mix(random *rand.Rand, index *Services, histories []history) {
	at := make([]int, len(histories))
	for {
		var open []int
		for i := range histories {
			if at[i] < len(histories[i]) {
				open = append(open, i)
			}
		}
		if len(open) == 0 {
			return
		}
		i := open[random.IntN(len(open))]
		if ahead := at[i] + random.IntN(len(histories[i])-at[i]); histories[i][ahead].read != nil && random.IntN(2) == 0 {
			histories[i][ahead].read(index)
		}
		histories[i][at[i]].watch(index)
		if random.IntN(4) == 0 {
			histories[i][at[i]].watch(index) // a resync
		}
		at[i]++
	}
}

var version int // of all objects, as in etcd

func serviceHistory(name string, offset int32) func(*rand.Rand) (history, func(*Services)) {
	return func(random *rand.Rand) (history, func(*Services)) {
		var events history
		last := func(*Services) {}
		key := types.NamespacedName{Namespace: "default", Name: name}
		for life := range 1 + random.IntN(3) {
			uid := types.UID(fmt.Sprint(name, life))
			for range 1 + random.IntN(3) {
				version++
				service := stored(nodePortService(name, 30000+random.Int32N(20), 30000+random.Int32N(20)), string(uid), version)
				service.CreationTimestamp = metav1.NewTime(time.Unix(int64(life), 0))
				service.Spec.ClusterIP = fmt.Sprintf("10.0.0.%d", offset+1+random.Int32N(12))
				service.Spec.ExternalIPs = []string{fmt.Sprintf("192.0.2.%d", random.IntN(3))}
				observe := func(s *Services) { s.Observe(service) }
				events, last = append(events, struct{ watch, read func(*Services) }{observe, observe}), observe
			}
			if random.IntN(3) > 0 {
				version++
				events = append(events, struct{ watch, read func(*Services) }{
					func(s *Services) { s.Forget(key, uid) }, func(s *Services) { s.ForgetSeen(key, s.Glimpse(key)) },
				})
				last = func(*Services) {}
				continue
			}
			break
		}
		return events, last
	}
}

func placeholderHistory(random *rand.Rand) (history, func(*Services)) {
	var events history
	var last func(*Services)
	for range 1 + random.IntN(3) {
		version++
		service := stored(nodePortService("reserved", 30000+random.Int32N(10), 30010+random.Int32N(10)), "reserved", version)
		service.Namespace = "system"
		last = func(s *Services) { s.Observe(service) }
		events = append(events, struct{ watch, read func(*Services) }{last, last})
	}
	return events, last
}

func claimHistory(number int32) func(*rand.Rand) (history, func(*Services)) {
	return func(random *rand.Rand) (history, func(*Services)) {
		var events history
		last := func(*Services) {}
		for life := range 1 + random.IntN(3) {
			claim := Claim{Number: PortNumber(number), Service: web, Created: time.Unix(int64(life), 0), UID: types.UID(fmt.Sprint(number, life))}
			make := func(s *Services) { s.Claim(claim) }
			events, last = append(events, struct{ watch, read func(*Services) }{make, make}), make
			if random.IntN(2) == 0 {
				break
			}
			events, last = append(events, struct{ watch, read func(*Services) }{func(s *Services) { s.Unclaim(claim) }, nil}), func(*Services) {}
		}
		return events, last
	}
}

func reservationHistory(number int32) func(*rand.Rand) (history, func(*Services)) {
	return func(random *rand.Rand) (history, func(*Services)) {
		return keptHistory(random, PortNumber(number), func() Reservation {
			return reservedPort(number, []types.NamespacedName{web, {}, {Namespace: "default", Name: "b"}}[random.IntN(3)], []string{"a", "b"}[random.IntN(2)])
		})
	}
}

func addressHistory(random *rand.Rand) (history, func(*Services)) {
	return keptHistory(random, AddrNumber(netip.MustParseAddr("10.0.0.9")), func() Reservation { return reservedAddr("10.0.0.9", web) })
}

func keptHistory(random *rand.Rand, n Number, draw func() Reservation) (history, func(*Services)) {
	var events history
	last := func(*Services) {}
	for range 1 + random.IntN(4) {
		last = func(s *Services) { s.Unreserve(n) }
		if random.IntN(3) > 0 {
			reservation := draw()
			last = func(s *Services) { s.Reserve(reservation) }
		}
		events = append(events, struct{ watch, read func(*Services) }{last, last})
	}
	return events, last
}

func poolHistory(random *rand.Rand) (history, func(*Services)) {
	var events history
	var last func(*Services)
	for range 1 + random.IntN(4) {
		var pools []PortPool
		for i := range random.IntN(4) {
			first := 29998 + random.Int32N(20)
			pools = append(pools, portPool(fmt.Sprint(i), []string{"red", ""}[random.IntN(2)], random.Int32N(2), random.Int64N(2), PortSpan{first, first + random.Int32N(6)}))
		}
		addrs := []AddrPool{addrPool("all", "red", v1alpha1.UseClusterIP, fmt.Sprintf("10.0.0.%d-10.0.0.30", 1+random.IntN(30)))}
		last = func(s *Services) { s.SetPools(pools, addrs) }
		events = append(events, struct{ watch, read func(*Services) }{last, last})
	}
	return events, last
}

func cidrHistory(random *rand.Rand) (history, func(*Services)) {
	var events history
	var last func(*Services)
	for range 1 + random.IntN(3) {
		cidr := ServiceCIDR{Prefix: netip.MustParsePrefix([]string{"10.0.0.0/27", "10.0.0.0/24"}[random.IntN(2)]), Ready: random.IntN(4) > 0}
		last = func(s *Services) {
			if err := s.SetServiceCIDRs([]corev1.IPFamily{v4}, []ServiceCIDR{cidr}); err != nil {
				panic(err)
			}
			for _, a := range s.ranges.addrs {
				a.random = func(uint64) uint64 { return 0 }
			}
		}
		events = append(events, struct{ watch, read func(*Services) }{last, last})
	}
	return events, last
}

// dump is all that an index holds, and what it plans, as lines in order.
func dump(s *Services) []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, n := range slices.SortedFunc(maps.Keys(s.holders), Number.Compare) {
		add("%s held by %v", n, s.sortedHolders(n))
	}
	for _, n := range slices.SortedFunc(maps.Keys(s.claims), Number.Compare) {
		add("%s claimed %v", n, s.claims[n])
	}
	for _, r := range s.Reservations() {
		add("%s reserved %v, listed %v", r.Number, r, s.reservedNumbers(r.Service))
	}
	add("%d Services have reservations", len(s.reservedFor))
	for _, n := range slices.SortedFunc(maps.Keys(s.placeholders), Number.Compare) {
		add("%s placed by %s", n, s.placeholders[n])
	}
	for _, key := range slices.SortedFunc(maps.Keys(s.users), func(a, b useKey) int {
		return cmp.Or(strings.Compare(string(a.use), string(b.use)), a.addr.Compare(b.addr))
	}) {
		add("%v used by %v", key, s.AddressUsers(key.addr))
	}
	for _, key := range slices.SortedFunc(maps.Keys(s.seen), compareNames) {
		add("%s is %v", key, s.seen[key])
	}
	add("ports %v in windows %v", s.ranges.ports.Snapshot(), *s.ranges.portWindows)
	for _, a := range s.ranges.addrs {
		add("addresses %v %v in windows %v", a.cidr, a.Snapshot(), *a.windows)
	}
	add("pools %+v %+v", s.PortPools(), s.AddrPools())
	for _, team := range []string{"", "red"} {
		for _, service := range []*corev1.Service{
			svc(nodePort, port("a", 80, 0), port("b", 81, 0)), svc(nodePort, ips("10.0.0.9"), port("a", 80, 30001)),
			svc(loadBalancer, local(0), port("a", 80, 30007), func(s *corev1.Service) { s.Name = "other" }),
		} {
			p := s.Plan(PlanRequest{New: service, Mode: Authoritative, DryRun: true, Now: time.Unix(10, 0), NamespaceLabels: teamLabels(team)})
			add("plan for %q: %v", team, words(p))
		}
	}
	return lines
}

func TestALateEventOfThePredecessorDoesNotReplaceTheSuccessor(t *testing.T) {
	index := newIndex(t)
	index.Observe(stored(nodePortService("web", 30002), "u2", 9)) // read past the cache
	index.Observe(stored(nodePortService("web", 30001), "u1", 7)) // the watch is still there
	index.Forget(keyOf(nodePortService("web")), "u1")
	if got := holderNames(index.Holders(PortNumber(30002))); len(got) != 1 {
		t.Errorf("30002 is held by %v, want the Service that is there now", got)
	}
	if got := holderNames(index.Holders(PortNumber(30001))); got != nil {
		t.Errorf("30001 is held by %v, want nobody: that Service is gone", got)
	}
}
