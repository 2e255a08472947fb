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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// words is a plan as a test writes it: what is assigned, then what is refused.
func words(p Plan) []string {
	var lines []string
	for _, a := range p.Assignments {
		line := fmt.Sprintf("%s%v %s", a.Field.Kind, a.Field.Indexes, a.Number)
		if a.Explicit {
			line += " explicit"
		}
		if a.Reserved {
			line += " reserved"
		}
		if a.Placed {
			line += " placed"
		}
		lines = append(lines, line)
	}
	for _, r := range p.Refusals {
		line := fmt.Sprintf("no %s%v", r.Field.Kind, r.Field.Indexes)
		switch {
		case len(r.Holders) > 0:
			line += fmt.Sprintf(" %s: held by %s; %s", r.Number, r.Holders[0].Service, r.Free)
		case r.Reserved != nil:
			line += fmt.Sprintf(" %s: reserved by %s %s for %s; %s", r.Number, r.Reserved.Kind(), r.Reserved.Object, r.Reserved.Service, r.Free)
		case r.Range != "":
			line += fmt.Sprintf(" %s: not in %s", r.Number, r.Range)
		case r.Full != "":
			line += ": full " + r.Full
		default:
			line += ": only by number " + strings.Join(r.Manual, ", ")
		}
		lines = append(lines, line)
	}
	return lines
}

func inTeam(index *Services, mode Mode, team string, service *corev1.Service) Plan {
	request := PlanRequest{New: service, Mode: mode, Now: time.Unix(1000, 0)}
	if team != "" {
		request.NamespaceLabels = teamLabels(team)
	}
	return index.Plan(request)
}

var web = types.NamespacedName{Namespace: "default", Name: "web"} // the Service of svc()

func reservedPort(number int32, service types.NamespacedName, names ...string) Reservation {
	return Reservation{Number: PortNumber(number), Object: fmt.Sprint(number), Service: service, PortNames: names}
}

func reservedAddr(text string, service types.NamespacedName) Reservation {
	number := AddrNumber(netip.MustParseAddr(text))
	return Reservation{Number: number, Object: number.ReservationName(), Service: service}
}

func TestAPoolSaysWhichNumbersANamespaceGets(t *testing.T) {
	onlyByNumber := portPool("quiet", "blue", 0, 1, PortSpan{30010, 30019})
	onlyByNumber.AutoAssign = false
	partly := portPool("red", "red", 0, 1, PortSpan{30000, 30002})
	partly.Reserved = []PortSpan{{30000, 30001}}
	second := portPool("amber", "red", 5, 9, PortSpan{30005, 30005})
	outside := portPool("outside", "grey", 0, 1, PortSpan{20000, 20009})
	pools := []PortPool{onlyByNumber, partly, second, outside}
	addrs := []AddrPool{
		addrPool("red-addrs", "red", v1alpha1.UseClusterIP, "10.0.0.8"),
		addrPool("balancers", "red", v1alpha1.UseLoadBalancer, "10.0.0.16"),
	}
	taken := func(ports ...int32) *corev1.Service { return stored(nodePortService("taken", ports...), "u", 1) }

	for name, tc := range map[string]struct {
		team    string
		mode    Mode
		taken   *corev1.Service
		service *corev1.Service
		want    []string
	}{
		"the pool with the highest priority gives first": {
			"red", Advisory, nil, svc(nodePort, ips("10.0.0.5"), port("a", 80, 0)), []string{"NodePort[0] 30005"},
		},
		"then the next, but not what is reserved in it": {
			"red", Advisory, taken(30005), svc(nodePort, ips("10.0.0.5"), port("a", 80, 0)), []string{"NodePort[0] 30002"},
		},
		"then none, although the server has others": {
			"red", Advisory, taken(30005, 30002), svc(nodePort, ips("10.0.0.5"), port("a", 80, 0)),
			[]string{"no NodePort[0]: full pool amber (30005-30005), pool red (30000-30002)"},
		},
		"a health check port comes from the pool as well": {
			"red", Advisory, taken(30005), svc(loadBalancer, noNodePorts, ips("10.0.0.5"), local(0), port("a", 80, 0)),
			[]string{"HealthCheckNodePort[] 30002"},
		},
		"what is reserved in a pool is given to who asks for it": {
			"red", Advisory, nil, svc(nodePort, ips("10.0.0.5"), port("a", 80, 30000)), nil,
		},
		"and what is taken names what is free in the pools": {
			"red", Advisory, taken(30001), svc(nodePort, ips("10.0.0.5"), port("a", 80, 30001)),
			[]string{"no NodePort[0] 30001: held by default/taken; free: 30005, 30002, 30000"},
		},
		"a pool that gives nothing by itself": {
			"blue", Advisory, nil, svc(nodePort, ips("10.0.0.5"), port("a", 80, 0)), []string{"no NodePort[0]: only by number pool quiet (30010-30019)"},
		},
		"a pool outside of the server's range": {
			"grey", Authoritative, nil, svc(nodePort, ips("10.0.0.5"), port("a", 80, 0)),
			[]string{"no NodePort[0]: full pool outside (20000-20009)"},
		},
		"who has no pool gets what is in none": {
			"", Advisory, taken(30006, 30007, 30008, 30009), svc(nodePort, ips("10.0.0.5"), port("a", 80, 0)), []string{"NodePort[0] 30004"},
		},
		"and nothing else": {
			"", Advisory, taken(30003, 30004, 30006, 30007, 30008, 30009), svc(nodePort, ips("10.0.0.5"), port("a", 80, 0)),
			[]string{"no NodePort[0]: full 30000-30019 outside of the pools"},
		},
		"a pool of another use says nothing about ClusterIPs": {
			"red", Advisory, stored(svc(func(s *corev1.Service) { s.Name = "taken" }, ips("10.0.0.8")), "u", 1), svc(),
			[]string{"no ClusterIP[0]: full pool red-addrs (10.0.0.8)"},
		},
		"an explicit number and an automatic one of a pool": {
			"red", Advisory, nil, svc(nodePort, ips("10.0.0.5"), port("a", 80, 30005), port("b", 81, 0)), []string{"NodePort[1] 30002"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // whichever is drawn
				index := newIndexWithPorts(t, PortSpan{30000, 30019}, "10.0.0.0/24", "fd00::/112")
				index.SetPools(pools, addrs)
				index.Observe(stored(nodePortService("others", 30003), "u0", 1))
				if tc.taken != nil {
					index.Observe(tc.taken)
				}
				if diff := cmp.Diff(tc.want, words(inTeam(index, tc.mode, tc.team, tc.service))); diff != "" {
					t.Fatalf("plan (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestAPoolOfOneFamilyHasBothChosenHere(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24", "fd00::/112")
	index.SetPools(nil, []AddrPool{addrPool("red", "red", v1alpha1.UseClusterIP, "10.0.0.8")})
	got := inTeam(index, Advisory, "red", svc(require))
	if len(got.Assignments) != 2 || len(got.ClusterIPs) != 2 || got.ClusterIPs[0] != "10.0.0.8" || got.Assignments[1].Number.Addr.Is4() {
		t.Errorf("plan is %v with %v, want the pool's address and one of IPv6, as the server can not be given the second alone", words(got), got.ClusterIPs)
	}
}

func TestPoolsElsewhereLeaveAutomaticNumbersToTheServer(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24")
	index.SetPools([]PortPool{portPool("low", "red", 0, 1, PortSpan{20000, 20009})},
		[]AddrPool{addrPool("other", "red", v1alpha1.UseClusterIP, "10.9.0.0/24", "fd00::/112"), addrPool("lb", "", v1alpha1.UseLoadBalancer, "10.0.0.0/28")})
	if got := words(inTeam(index, Advisory, "", svc(nodePort, port("a", 80, 0)))); got != nil {
		t.Errorf("plan is %v: no pool has numbers that the server might draw", got)
	}
}

func TestBuggyAddressesAreGivenOnlyByValue(t *testing.T) {
	index := newIndex(t, "10.0.0.0/16")
	pool := addrPool("red", "red", v1alpha1.UseClusterIP, "10.0.0.254-10.0.1.1")
	pool.AvoidBuggyIPs = true
	index.SetPools(nil, []AddrPool{pool})
	got := map[string]bool{}
	for i := range 2 {
		service := svc(func(s *corev1.Service) { s.Name = fmt.Sprint(i) })
		p := inTeam(index, Advisory, "red", service)
		if len(p.Assignments) != 1 {
			t.Fatalf("plan is %v", words(p))
		}
		ips(p.ClusterIPs...)(service)
		index.Observe(stored(service, service.Name, i+1))
		got[p.Assignments[0].Number.String()] = true
	}
	if !got["10.0.0.254"] || !got["10.0.1.1"] {
		t.Errorf("given: %v, want the two that are not buggy", got)
	}
	want := []string{"no ClusterIP[0]: full pool red (10.0.0.254-10.0.1.1)"}
	if diff := cmp.Diff(want, words(inTeam(index, Advisory, "red", svc()))); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if got := words(inTeam(index, Advisory, "red", svc(ips("10.0.0.255")))); got != nil {
		t.Errorf("by value: %v, want no objection", got)
	}
}

func TestAPoolGivesNothingOfAServiceCIDRThatGoes(t *testing.T) {
	index := newIndex(t)
	gone, stays := netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("10.0.1.0/24")
	index.SetPools(nil, []AddrPool{addrPool("red", "red", v1alpha1.UseClusterIP, "10.0.0.250-10.0.1.1")})
	if err := index.SetServiceCIDRs([]corev1.IPFamily{v4}, []ServiceCIDR{{gone, false}, {stays, true}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ClusterIP[0] 10.0.1.1"}, words(inTeam(index, Advisory, "red", svc()))); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if view := index.AddrPools()[0]; view.IPv4.Capacity != 1 || fmt.Sprint(view.Outside) != "[10.0.0.250-10.0.1.0]" {
		t.Errorf("the pool has %d addresses and %v outside", view.IPv4.Capacity, view.Outside)
	}
}

func TestReservedNumbersComeBackToTheirService(t *testing.T) {
	other := types.NamespacedName{Namespace: "a", Name: "other"}
	for name, tc := range map[string]struct {
		reservations []Reservation
		service      *corev1.Service
		mode         Mode
		want         []string
	}{
		"a port by name": {
			[]Reservation{reservedPort(30005, web, "a"), reservedPort(30004, web, "b")},
			svc(nodePort, ips("10.0.0.5"), port("a", 80, 0), port("b", 81, 0)), Advisory,
			[]string{"NodePort[0] 30005 reserved", "NodePort[1] 30004 reserved"},
		},
		"one number is not given to two ports of one protocol": {
			[]Reservation{reservedPort(30005, web, "b", "a"), reservedPort(30004, web)},
			svc(nodePort, ips("10.0.0.5"), port("a", 80, 0), port("b", 81, 0)), Advisory,
			[]string{"NodePort[0] 30005 reserved", "NodePort[1] 30004 reserved"},
		},
		"without names the first automatic one, after those with names": {
			[]Reservation{reservedPort(30004, web), reservedPort(30005, web, "a")},
			svc(nodePort, ips("10.0.0.5"), port("x", 79, 30002), port("a", 80, 0), port("b", 81, 0)), Advisory,
			[]string{"NodePort[1] 30005 reserved", "NodePort[2] 30004 reserved"},
		},
		"two protocols of one number": {
			[]Reservation{reservedPort(30053, web, "dns", "dns-tcp")},
			svc(nodePort, ips("10.0.0.5"), port("dns", 53, 0), port("dns-tcp", 53, 0), func(s *corev1.Service) { s.Spec.Ports[0].Protocol = "UDP" }), Advisory,
			[]string{"NodePort[0 1] 30053 reserved"},
		},
		"the health check": {
			[]Reservation{{Number: PortNumber(30006), Object: "30006", Service: web, HealthCheck: true}},
			svc(loadBalancer, noNodePorts, ips("10.0.0.5"), local(0), port("a", 80, 0)), Advisory,
			[]string{"HealthCheckNodePort[] 30006 reserved"},
		},
		"addresses by family": {
			[]Reservation{reservedAddr("fd00::7", web), reservedAddr("10.0.0.7", web), reservedAddr("192.0.2.7", web)}, svc(require), Advisory,
			[]string{"ClusterIP[0] 10.0.0.7 reserved", "ClusterIP[1] fd00::7 reserved"},
		},
		"also by value, and then they are claimed": {
			[]Reservation{reservedPort(30005, web)}, svc(nodePort, ips("10.0.0.5"), port("a", 80, 30005)), Advisory,
			[]string{"NodePort[0] 30005 explicit reserved"},
		},
		"from others they are kept": {
			[]Reservation{reservedPort(30005, other)}, svc(nodePort, ips("10.0.0.5"), port("a", 80, 30005)), Advisory,
			[]string{"no NodePort[0] 30005: reserved by PortReservation 30005 for a/other; free: 30006-30007, 30000, 30002-30004"},
		},
		"and from everybody, if they are for nobody": {
			[]Reservation{reservedAddr("fd00::7", types.NamespacedName{})}, svc(families(v6), ips("fd00::7")), Advisory,
			[]string{"no ClusterIP[0] fd00::7: reserved by AddressReservation fd00-0000-0000-0000-0000-0000-0000-0007 for /; free: fd00::8-fd00::4:7, fd00::4:8-fd00::8:7, fd00::8:8-fd00::c:7, ..."},
		},
		"a Service whose name is yet to be generated has none": {
			[]Reservation{reservedPort(30005, types.NamespacedName{Namespace: "default"})},
			svc(nodePort, ips("10.0.0.5"), port("a", 80, 30005), func(s *corev1.Service) { s.Name, s.GenerateName = "", "web-" }), Advisory,
			[]string{"no NodePort[0] 30005: reserved by PortReservation 30005 for default/; free: 30006-30007, 30000, 30002-30004"},
		},
		"what somebody else holds is not given": {
			[]Reservation{reservedPort(30001, web)}, svc(nodePort, ips("10.0.0.5"), port("a", 80, 0)), Advisory, nil,
		},
		"what lies outside of the range is not given": {
			[]Reservation{reservedPort(40000, web)}, svc(nodePort, ips("10.0.0.5"), port("a", 80, 0)), Advisory, nil,
		},
		"in authoritative mode explicit numbers are claimed": {
			nil, svc(nodePort, ips("10.0.0.5"), port("a", 80, 30005)), Authoritative, []string{"ClusterIP[0] 10.0.0.5 explicit", "NodePort[0] 30005 explicit"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			span := PortSpan{30000, 30007}
			if name == "two protocols of one number" {
				span.Last = 30053
			}
			index := newIndexWithPorts(t, span, "10.0.0.0/24", "fd00::/64")
			for _, r := range tc.reservations {
				index.Reserve(r)
			}
			index.Observe(stored(nodePortService("holder", 30001), "u", 1))
			if diff := cmp.Diff(tc.want, words(inTeam(index, tc.mode, "", tc.service))); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAReservedNumberIsChosenForNobodyElse(t *testing.T) {
	index := newIndexWithPorts(t, PortSpan{30000, 30001}, "10.0.0.0/24")
	index.Reserve(reservedPort(30000, web))
	stranger := svc(nodePort, ips("10.0.0.5"), port("a", 80, 0), func(s *corev1.Service) { s.Name = "stranger" })
	for range 20 {
		if diff := cmp.Diff([]string{"NodePort[0] 30001"}, words(index.Plan(PlanRequest{New: stranger, Mode: Advisory, DryRun: true}))); diff != "" {
			t.Fatalf("plan (-want +got):\n%s", diff)
		}
	}
}

func TestDryRunAnswersWithTheReservedNumberAndKeepsNothing(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24")
	index.Reserve(reservedPort(30005, web))
	for range 2 {
		got := words(index.Plan(PlanRequest{New: svc(nodePort, ips("10.0.0.5"), port("a", 80, 0)), Mode: Advisory, DryRun: true, Now: time.Unix(1000, 0)}))
		if diff := cmp.Diff([]string{"NodePort[0] 30005 reserved"}, got); diff != "" {
			t.Errorf("plan (-want +got):\n%s", diff)
		}
	}
	if index.Claimed(PortNumber(30005)) {
		t.Error("dry-run claimed the number")
	}
}

// The server refuses in a dry-run, too, what another Service has.
func TestDryRunSaysWhatAPlaceholderHolds(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24")
	index.SetPlaceholders(func(s *corev1.Service) bool { return s.Name == "placeholder" })
	index.Observe(stored(nodePortService("placeholder", 30005), "u", 1))
	index.Reserve(reservedPort(30005, web))
	for want, asked := range map[string]int32{"NodePort[0] 30005 reserved placed": 0, "NodePort[0] 30005 explicit reserved placed": 30005} {
		got := words(index.Plan(PlanRequest{New: svc(nodePort, ips("10.0.0.5"), port("a", 80, asked)), Mode: Advisory, DryRun: true}))
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("plan (-want +got):\n%s", diff)
		}
	}
}

func TestAnExplicitNumberThatAnotherRequestClaimsStaysItsClaim(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24")
	other := types.NamespacedName{Namespace: "a", Name: "other"}
	index.Claim(Claim{Number: PortNumber(30005), Service: other, Created: time.Unix(999, 0)})
	got := inTeam(index, Authoritative, "", svc(nodePort, ips("10.0.0.5"), port("a", 80, 30005)))
	if len(got.Assignments) != 2 || got.Assignments[1].Reused || index.claims[PortNumber(30005)].Service != other {
		t.Errorf("plan is %+v, the claim is of %s", got, index.claims[PortNumber(30005)].Service)
	}
}

// Random pools, reservations and holders: an automatic port is one that the rules
// allow, and it is refused only when there is none. The rules are written here a
// second time, for one port.
func TestAutomaticPortsAreThoseTheRulesAllow(t *testing.T) {
	const first, last = 30000, 30040
	random := rand.New(rand.NewPCG(3, 4))
	teams := []string{"red", "blue", ""}
	draw := func() PortSpan {
		from := first - 3 + random.Int32N(last-first+6)
		return PortSpan{from, from + random.Int32N(12)}
	}
	outcomes := map[string]int{}
	for range 3000 {
		index := newIndexWithPorts(t, PortSpan{first, last})
		var pools []PortPool
		for i := range random.IntN(5) {
			pool := portPool(fmt.Sprint(i), teams[random.IntN(3)], random.Int32N(2), random.Int64N(2), draw(), draw())
			pool.Reserved, pool.AutoAssign = []PortSpan{draw()}, random.IntN(4) > 0
			pools = append(pools, pool)
		}
		var held []int32
		for p := int32(first); p <= last; p++ {
			switch random.IntN(3) {
			case 0:
				held = append(held, p)
			case 1:
				if random.IntN(4) == 0 {
					index.Reserve(reservedPort(p, types.NamespacedName{Namespace: "a", Name: "other"}))
				}
			}
		}
		index.Observe(stored(nodePortService("holder", held...), "u", 1))
		index.SetPools(pools, nil)

		team := teams[random.IntN(3)]
		namespace := labels.Set{}
		if team != "" {
			namespace = teamLabels(team)
		}
		best, manual := rules{index, pools, first, last}.allowed(namespace)
		got := inTeam(index, Authoritative, team, svc(nodePort, port("a", 80, 0)))
		switch {
		case len(got.Assignments) == 1:
			outcomes["given"]++
			if !best[got.Assignments[0].Number.Port] {
				t.Fatalf("%d is given to %q of %v, allowed are %v", got.Assignments[0].Number.Port, team, pools, best)
			}
		case got.Refusals[0].Manual != nil:
			outcomes["manual"]++
			if !manual {
				t.Fatalf("%q is refused for lack of a pool that gives by itself: %v", team, pools)
			}
		default:
			outcomes["full"]++
			if len(best) > 0 || manual {
				t.Fatalf("%q is refused, allowed are %v of %v", team, best, pools)
			}
		}
	}
	if len(outcomes) != 3 || min(outcomes["given"], outcomes["manual"], outcomes["full"]) < 50 {
		t.Errorf("the test did not see everything: %v", outcomes)
	}
}

// rules are what pools mean, one port at a time.
type rules struct {
	index       *Services
	pools       []PortPool
	first, last int32
}

func has(spans []PortSpan, p int32) bool {
	return slices.ContainsFunc(spans, func(s PortSpan) bool { return s.First <= p && p <= s.Last })
}

// owner is the name of the pool that a port is of.
func (r rules) owner(p int32) string {
	var owner PortPool
	for _, pool := range r.pools {
		if !has(pool.Ranges, p) {
			continue
		}
		order := []int{int(pool.Priority - owner.Priority), owner.Created.Compare(pool.Created), strings.Compare(owner.Name, pool.Name), 0}
		decided := slices.IndexFunc(order[:3], func(o int) bool { return o != 0 })
		if owner.Name == "" || decided >= 0 && order[decided] > 0 {
			owner = pool
		}
	}
	return owner.Name
}

func (r rules) free(fits func(p int32) bool) map[int32]bool {
	found := map[int32]bool{}
	for p := r.first; p <= r.last; p++ {
		_, reserved := r.index.reservations[PortNumber(p)]
		if len(r.index.holders[PortNumber(p)]) == 0 && !reserved && fits(p) {
			found[p] = true
		}
	}
	return found
}

// allowed are the ports that the next choice of a namespace may be; manual says
// that it has pools, none of which gives by itself.
func (r rules) allowed(namespace labels.Set) (ports map[int32]bool, manual bool) {
	var own []PortPool
	for _, pool := range r.pools {
		if pool.Selects(namespace) {
			own = append(own, pool)
		}
	}
	if len(own) == 0 {
		band := r.first + int32(portBand(uint64(r.last-r.first)+1)) // where the dynamic band begins
		ports = r.free(func(p int32) bool { return r.owner(p) == "" && p >= band })
		if len(ports) == 0 {
			ports = r.free(func(p int32) bool { return r.owner(p) == "" })
		}
		return ports, false
	}
	slices.SortFunc(own, func(a, b PortPool) int {
		if a.Priority != b.Priority {
			return int(b.Priority - a.Priority)
		}
		return strings.Compare(a.Name, b.Name)
	})
	manual = true
	for _, pool := range own {
		manual = manual && !pool.AutoAssign
		if len(ports) == 0 && pool.AutoAssign {
			ports = r.free(func(p int32) bool { return r.owner(p) == pool.Name && !has(pool.Reserved, p) })
		}
	}
	return ports, manual
}
