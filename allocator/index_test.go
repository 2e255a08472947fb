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
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func newIndex(tb testing.TB, cidrs ...string) *Services {
	tb.Helper()
	return newIndexWithPorts(tb, DefaultNodePorts, cidrs...)
}

func newIndexWithPorts(tb testing.TB, span PortSpan, cidrs ...string) *Services {
	tb.Helper()
	index := NewServices(span)
	var families []corev1.IPFamily
	var all []ServiceCIDR
	for _, cidr := range cidrs {
		prefix := netip.MustParsePrefix(cidr)
		families = append(families, familyOf(prefix.Addr()))
		all = append(all, ServiceCIDR{Prefix: prefix, Ready: true})
	}
	if err := index.SetServiceCIDRs(families, all); err != nil {
		tb.Fatal(err)
	}
	return index
}

// stored makes the Service look as if it came from the API server.
func stored(service *corev1.Service, uid string, version int) *corev1.Service {
	service = service.DeepCopy()
	service.UID, service.ResourceVersion = types.UID(uid), strconv.Itoa(version)
	return service
}

func nodePortService(name string, ports ...int32) *corev1.Service {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort},
	}
	for i, port := range ports {
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{
			Name: fmt.Sprintf("p%d", i), Protocol: corev1.ProtocolTCP, Port: int32(80 + i), NodePort: port,
		})
	}
	return service
}

func holderNames(holders []Holder) []string {
	var names []string
	for _, h := range holders {
		names = append(names, fmt.Sprintf("%s of %s", h.Kind, h.Service.Name))
	}
	return names
}

func TestTheIndexFollowsTheServices(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24")
	s1 := nodePortService("s1", 30080)
	key := keyOf(s1)

	index.Observe(stored(s1, "u1", 1))
	index.Observe(stored(s1, "u1", 1)) // seeing it twice is seeing it
	if diff := cmp.Diff([]string{"NodePort of s1"}, holderNames(index.Holders(PortNumber(30080)))); diff != "" {
		t.Errorf("after create (-want +got):\n%s", diff)
	}
	moved := nodePortService("s1", 30081)
	index.Observe(stored(moved, "u1", 3))
	index.Observe(stored(s1, "u1", 2)) // a late event
	if got := holderNames(index.Holders(PortNumber(30080))); got != nil {
		t.Errorf("a late event brought back %v", got)
	}
	index.Forget(key, "u0") // the Service of that name that was there before
	if got := holderNames(index.Holders(PortNumber(30081))); len(got) != 1 {
		t.Errorf("forgetting the predecessor left %v", got)
	}
	index.Observe(stored(s1, "u2", 5)) // deleted and created again, the delete was missed
	if got := index.Stats()[0].Allocated; got != 1 {
		t.Errorf("%d ports are allocated, want 1", got)
	}
	index.Forget(key, "u2")
	index.Forget(key, "u2")
	if got := index.Stats()[0].Allocated; got != 0 {
		t.Errorf("%d ports are allocated after the Service is gone", got)
	}
}

func TestOneServiceMaySharePortsBetweenProtocols(t *testing.T) {
	index := newIndex(t)
	dns := nodePortService("dns", 30053, 30053)
	dns.Spec.Ports[1].Protocol = corev1.ProtocolUDP
	index.Observe(stored(dns, "u1", 1))
	if _, got := index.Problems(keyOf(dns)); got != nil {
		t.Errorf("problems: %v", got)
	}
	index.Forget(keyOf(dns), "u1")
	if index.Stats()[0].Allocated != 0 {
		t.Error("the shared port leaked")
	}
}

func TestDoublesAndOutOfRangeNumbersAreReported(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24")
	first, second := nodePortService("first", 30080), nodePortService("second", 30080, 20000)
	first.CreationTimestamp = metav1.NewTime(time.Unix(100, 0))
	second.CreationTimestamp = metav1.NewTime(time.Unix(200, 0))
	second.Spec.ClusterIPs = []string{"10.0.1.1"}
	index.Observe(stored(second, "u2", 2))
	index.Observe(stored(first, "u1", 1))

	var got []string
	_, problems := index.Problems(keyOf(second))
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%s %s range=%s others=%v", p.Kind, p.Number, p.Range, holderNames(p.Others)))
	}
	want := []string{
		"ClusterIP 10.0.1.1 range=10.0.0.0/24 others=[]",
		"NodePort 30080 range= others=[NodePort of first]",
		"NodePort 20000 range=30000-32767 others=[]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems of second (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"NodePort of first", "NodePort of second"}, holderNames(index.Holders(PortNumber(30080)))); diff != "" {
		t.Errorf("the oldest comes first (-want +got):\n%s", diff)
	}
	index.Forget(keyOf(first), "u1") // the other one still has it: U4 can not happen
	if !index.ranges.ports.Has(30080) {
		t.Error("deleting one of two holders freed the port")
	}
}

func TestFreeNumbersAreNamedAfterTheOneAskedFor(t *testing.T) {
	index := newIndexWithPorts(t, PortSpan{30000, 30019})
	taken := nodePortService("taken", 30003, 30004, 30008, 30015)
	index.Observe(stored(taken, "u1", 1))
	for number, want := range map[int32]string{
		30003: "free: 30005-30007, 30009-30014, 30016-30019, ...",
		30015: "free: 30016-30019, 30000-30002, 30005-30007, ...",
		30019: "free: 30019, 30000-30002, 30005-30007, ...",
	} {
		if got := index.FreeFor(PortNumber(number), nil, nil); got != want {
			t.Errorf("near %d: %q, want %q", number, got, want)
		}
	}
	index = newIndexWithPorts(t, PortSpan{30000, 30001}, "10.0.0.0/29")
	index.Observe(stored(nodePortService("both", 30000, 30001), "u1", 1))
	if got := index.FreeFor(PortNumber(30000), nil, nil); got != "none is free" {
		t.Errorf("in a full range: %q", got)
	}
	if got, want := index.FreeFor(AddrNumber(netip.MustParseAddr("10.0.0.3")), nil, nil), "free: 10.0.0.3-10.0.0.6, 10.0.0.1-10.0.0.2"; got != want {
		t.Errorf("addresses: %q, want %q", got, want)
	}
	if got, want := newIndex(t, "fd00::/64").FreeFor(AddrNumber(netip.MustParseAddr("fd00::9")), nil, nil), "free: fd00::9-fd00::4:8, fd00::4:9-fd00::8:8, fd00::8:9-fd00::c:8, ..."; got != want {
		t.Errorf("in a /64: %q, want %q", got, want)
	}
}

func TestObjectNamesAreOnePerNumber(t *testing.T) {
	for name, n := range map[string]Number{
		"nodeport-30080":      PortNumber(30080),
		"clusterip-10.96.0.7": AddrNumber(netip.MustParseAddr("10.96.0.7")),
		"clusterip-fd00-0000-0000-0000-0000-0000-0000-0007": AddrNumber(netip.MustParseAddr("fd00::7")),
	} {
		if got := n.ObjectName(); got != name {
			t.Errorf("name of %s is %s, want %s", n, got, name)
		}
		if got, err := ParseObjectName(name); err != nil || got != n {
			t.Errorf("%s is %v, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "nodeport-", "nodeport-0", "nodeport-70000", "clusterip-x", "leader", "10.0.0.1"} {
		if n, err := ParseObjectName(name); err == nil {
			t.Errorf("%q was read as %v", name, n)
		}
	}
}

// Rounds of random creates, updates, deletes, lost events and rebuilds: after
// each rebuild the index is that of the Services that exist, and nothing leaks.
func TestRebuildHealsWhateverWasMissed(t *testing.T) {
	index := newIndexWithPorts(t, PortSpan{30000, 30199}, "10.0.0.0/24")
	random := rand.New(rand.NewPCG(1, 2))
	world := map[string]*corev1.Service{}
	for version := 1; version < 4000; version++ {
		name := fmt.Sprintf("s%d", random.IntN(30))
		lost := random.IntN(10) == 0
		if world[name] != nil && random.IntN(3) == 0 {
			uid := world[name].UID
			delete(world, name)
			if !lost {
				index.Forget(types.NamespacedName{Namespace: "default", Name: name}, uid)
			}
			continue
		}
		uid := fmt.Sprintf("%s-%d", name, version)
		if world[name] != nil {
			uid = string(world[name].UID)
		}
		service := stored(nodePortService(name, 30000+random.Int32N(210), 30000+random.Int32N(210)), uid, version)
		service.Spec.ClusterIPs = []string{fmt.Sprintf("10.0.0.%d", random.IntN(256))}
		world[name] = service
		if !lost {
			index.Observe(service)
		}
		if version%100 == 0 {
			rebuildAndCompare(t, index, world)
		}
	}
	index.Rebuild(nil)
	for _, stats := range index.Stats() {
		if stats.Allocated != 0 {
			t.Errorf("%s leaks %d numbers", stats.Range, stats.Allocated)
		}
	}
}

func rebuildAndCompare(t *testing.T, index *Services, world map[string]*corev1.Service) {
	t.Helper()
	var list []corev1.Service
	want := map[Number]bool{}
	for _, service := range world {
		list = append(list, *service)
		for _, h := range HoldingsOf(service) {
			want[h.Number] = true
		}
	}
	index.Rebuild(list)
	if d := index.Rebuild(list); d != (Drift{}) {
		t.Fatalf("rebuilding twice drifts by %+v", d)
	}
	got := map[Number]bool{}
	for n := range index.holders {
		got[n] = true
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b Number) bool { return a == b })); diff != "" {
		t.Fatalf("held numbers (-want +got):\n%s", diff)
	}
	inRange := uint64(0)
	for n := range want {
		if n.IsPort() && index.ranges.contains(n) {
			inRange++
		}
	}
	if allocated := index.Stats()[0].Allocated; allocated != inRange {
		t.Fatalf("%d ports allocated, %d held", allocated, inRange)
	}
}

func TestRebuildSaysWhatItFoundWrong(t *testing.T) {
	index := newIndex(t)
	index.Observe(stored(nodePortService("gone", 30001), "u1", 1))
	got := index.Rebuild([]corev1.Service{*stored(nodePortService("missed", 30002, 30003), "u2", 2)})
	if want := (Drift{Leaked: 1, Missing: 2}); got != want {
		t.Errorf("drift is %+v, want %+v", got, want)
	}
}

func TestServiceCIDRsComeAndGo(t *testing.T) {
	index := newIndex(t, "10.0.0.0/29")
	service := nodePortService("s1", 30001)
	service.Spec.ClusterIPs = []string{"10.1.0.3"}
	index.Observe(stored(service, "u1", 1))
	cidrs := []ServiceCIDR{{Prefix: netip.MustParsePrefix("10.0.0.0/29"), Ready: false}, {Prefix: netip.MustParsePrefix("10.1.0.0/29"), Ready: true}, {Prefix: netip.MustParsePrefix("10.1.0.0/30"), Ready: true}}
	if err := index.SetServiceCIDRs([]corev1.IPFamily{corev1.IPv4Protocol}, cidrs); err != nil {
		t.Fatal(err)
	}
	if _, got := index.Problems(keyOf(service)); got != nil {
		t.Errorf("its address is in range now: %v", got)
	}
	// 10.0.0.0/29 is being removed, 10.1.0.3 is held: five are left, although two
	// CIDRs overlap.
	seen := map[netip.Addr]bool{}
	for range 5 {
		plan := index.Plan(PlanRequest{New: &corev1.Service{ObjectMeta: metav1.ObjectMeta{GenerateName: "x"}}, Mode: Authoritative})
		if len(plan.Assignments) != 1 || seen[plan.Assignments[0].Number.Addr] {
			t.Fatalf("plan %+v after %v", plan, seen)
		}
		seen[plan.Assignments[0].Number.Addr] = true
	}
	for addr := range seen {
		if !netip.MustParsePrefix("10.1.0.0/29").Contains(addr) || addr.String() == "10.1.0.3" {
			t.Errorf("%s was handed out", addr)
		}
	}
	if err := index.SetServiceCIDRs(nil, []ServiceCIDR{{Prefix: netip.MustParsePrefix("fd00::/48")}}); err == nil {
		t.Error("a /48 was accepted")
	}
}

// Eight callers create, observe, forget, plan and rebuild at the same time; run
// with -race. No number is ever given to two of them.
func TestAServiceCIDRWithoutAddressesDoesNotHideTheOthers(t *testing.T) {
	index := newIndex(t)
	err := index.ObserveServiceCIDRs([]networkingv1.ServiceCIDR{
		{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.0.0.0/24"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "wide"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.1.0.0/24", "fd00::/48"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "none"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.2.0.0/32"}}},
	})
	for _, name := range []string{"ServiceCIDR wide: service CIDR fd00::/48 is too large", "ServiceCIDR none: service CIDR 10.2.0.0/32 has no usable address"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error is %v, want %q in it", err, name)
		}
	}
	if got := index.RangeOf(AddrNumber(netip.MustParseAddr("10.9.9.9"))); got != "10.0.0.0/24, 10.1.0.0/24" {
		t.Errorf("ranges are %s", got)
	}
}

func TestConcurrentPlansNeverShareANumber(t *testing.T) {
	index := newIndexWithPorts(t, PortSpan{30000, 30499}, "10.0.0.0/22", "fd00::/112")
	var mu sync.Mutex
	given := map[Number]string{}
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("w%d-%d", worker, i)
				plan := index.Plan(PlanRequest{New: nodePortService(name, 0), Mode: Authoritative, Now: time.Unix(0, 0)})
				mu.Lock()
				for _, a := range plan.Assignments {
					if other, taken := given[a.Number]; taken {
						t.Errorf("%s was given to %s and %s", a.Number, other, name)
					}
					given[a.Number] = name
				}
				mu.Unlock()
				service := nodePortService(name, plan.Assignments[1].Number.Port)
				service.Spec.ClusterIPs = []string{plan.Assignments[0].Number.String()}
				index.Observe(stored(service, name, 1))
				index.Unclaim(Claim{Number: plan.Assignments[0].Number, Service: keyOf(service)})
				_, _ = index.Problems(keyOf(service))
				_ = index.FreeFor(plan.Assignments[1].Number, nil, nil)
			}
		})
	}
	wait.Wait()
	if len(given) != 800 {
		t.Errorf("%d numbers were given, want 800", len(given))
	}
}

func TestServiceCIDRsThatAreAsBeforeAreNotBuiltAgain(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24", "10.1.0.0/24")
	built := index.ranges.addrs[0].Addrs
	set := func(ready bool, prefixes ...string) {
		t.Helper()
		var cidrs []ServiceCIDR
		for _, prefix := range prefixes {
			cidrs = append(cidrs, ServiceCIDR{Prefix: netip.MustParsePrefix(prefix), Ready: ready})
		}
		if err := index.SetServiceCIDRs([]corev1.IPFamily{corev1.IPv4Protocol}, cidrs); err != nil {
			t.Fatal(err)
		}
	}
	if set(true, "10.1.0.0/24", "10.0.0.0/24"); index.ranges.addrs[0].Addrs != built {
		t.Error("the same ones in another order were built again")
	}
	if set(false, "10.0.0.0/24", "10.1.0.0/24"); index.ranges.addrs[0].cidr.Ready {
		t.Error("that they are being removed was overlooked")
	}
}
