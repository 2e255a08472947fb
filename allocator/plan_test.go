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
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	v4 = corev1.IPv4Protocol
	v6 = corev1.IPv6Protocol
)

// edit changes a Service in one of the words of the tables below.
type edit func(*corev1.Service)

func svc(edits ...edit) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Selector: map[string]string{"app": "web"}},
	}
	for _, apply := range edits {
		apply(s)
	}
	return s
}

func typed(t corev1.ServiceType) edit { return func(s *corev1.Service) { s.Spec.Type = t } }

func ips(addrs ...string) edit {
	return func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = addrs[0], addrs }
}

func families(list ...corev1.IPFamily) edit {
	return func(s *corev1.Service) { s.Spec.IPFamilies = list }
}

func policy(p corev1.IPFamilyPolicy) edit {
	return func(s *corev1.Service) { s.Spec.IPFamilyPolicy = &p }
}

// port adds a TCP port; nodePort 0 asks for any.
func port(name string, number, nodePort int32) edit {
	return func(s *corev1.Service) {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: name, Port: number, NodePort: nodePort, Protocol: corev1.ProtocolTCP})
	}
}

func local(health int32) edit {
	return func(s *corev1.Service) {
		s.Spec.ExternalTrafficPolicy, s.Spec.HealthCheckNodePort = corev1.ServiceExternalTrafficPolicyLocal, health
	}
}

func noNodePorts(s *corev1.Service) { s.Spec.AllocateLoadBalancerNodePorts = new(false) }

var (
	nodePort     = typed(corev1.ServiceTypeNodePort)
	loadBalancer = typed(corev1.ServiceTypeLoadBalancer)
	externalName = typed(corev1.ServiceTypeExternalName)
	single       = policy(corev1.IPFamilyPolicySingleStack)
	prefer       = policy(corev1.IPFamilyPolicyPreferDualStack)
	require      = policy(corev1.IPFamilyPolicyRequireDualStack)
)

func (d demand) String() string {
	what := "any"
	if !d.automatic() {
		what = d.number.String()
	} else if d.family != "" {
		what += " " + string(d.family)
	}
	return strings.TrimSuffix(fmt.Sprintf("%s%v %s", d.field.Kind, d.field.Indexes, what), " ")
}

// What a Service asks for, by the rows of the acceptance table.
func TestDemands(t *testing.T) {
	dual, onlyV4 := []corev1.IPFamily{v4, v6}, []corev1.IPFamily{v4}
	had := svc(nodePort, ips("10.0.0.5"), families(v4), single, port("a", 80, 30001), port("b", 81, 30002))
	for name, tc := range map[string]struct {
		old, new *corev1.Service
		cluster  []corev1.IPFamily
		want     []string
	}{
		"a ClusterIP Service wants one address":                  {nil, svc(port("a", 80, 0)), dual, []string{"ClusterIP[0] any IPv4"}},
		"an explicit address":                                    {nil, svc(ips("10.0.0.7")), dual, []string{"ClusterIP[0] 10.0.0.7"}},
		"only the singular field is set":                         {nil, svc(func(s *corev1.Service) { s.Spec.ClusterIP = "fd00::7" }), dual, []string{"ClusterIP[0] fd00::7"}},
		"A13 headless wants none":                                {nil, svc(ips("None")), dual, nil},
		"A12 ExternalName wants none, not even its ports":        {nil, svc(externalName, port("a", 80, 30001)), dual, nil},
		"A14 the family follows the cluster's default":           {nil, svc(), []corev1.IPFamily{v6, v4}, []string{"ClusterIP[0] any IPv6"}},
		"A14 the family asked for":                               {nil, svc(families(v6)), dual, []string{"ClusterIP[0] any IPv6"}},
		"A14 PreferDualStack gets both":                          {nil, svc(prefer), dual, []string{"ClusterIP[0] any IPv4", "ClusterIP[1] any IPv6"}},
		"A14 PreferDualStack gets one where there is one":        {nil, svc(prefer), onlyV4, []string{"ClusterIP[0] any IPv4"}},
		"A14 the explicit address says which family is first":    {nil, svc(require, ips("fd00::7")), dual, []string{"ClusterIP[0] fd00::7", "ClusterIP[1] any IPv4"}},
		"A14 RequireDualStack on one family is for the server":   {nil, svc(require), onlyV4, nil},
		"A14 a family the cluster lacks is for the server":       {nil, svc(families(v6)), onlyV4, nil},
		"two addresses of SingleStack are for the server":        {nil, svc(single, ips("10.0.0.7", "fd00::7")), dual, nil},
		"two addresses of one family are for the server":         {nil, svc(require, ips("10.0.0.7", "10.0.0.8")), dual, nil},
		"an address that is none is for the server":              {nil, svc(ips("10.0.0.300")), dual, nil},
		"a family that is not the address's is for the server":   {nil, svc(ips("10.0.0.7"), families(v6)), dual, nil},
		"plural without singular is for the server":              {nil, svc(func(s *corev1.Service) { s.Spec.ClusterIPs = []string{"10.0.0.7"} }), dual, nil},
		"no ServiceCIDR is known: addresses are for the server":  {nil, svc(nodePort, port("a", 80, 0)), nil, []string{"NodePort[0] any"}},
		"NodePorts, explicit and automatic":                      {nil, svc(nodePort, ips("10.0.0.7"), port("a", 80, 0), port("b", 81, 30001)), dual, []string{"ClusterIP[0] 10.0.0.7", "NodePort[0] any", "NodePort[1] 30001"}},
		"A6 on create, ports with one number share":              {nil, svc(nodePort, ips("10.0.0.7"), port("t", 53, 0), port("u", 53, 0)), dual, []string{"ClusterIP[0] 10.0.0.7", "NodePort[0 1] any"}},
		"A6 on create, an empty port takes the explicit twin's":  {nil, svc(nodePort, ips("10.0.0.7"), port("t", 53, 0), port("u", 53, 30053)), dual, []string{"ClusterIP[0] 10.0.0.7", "NodePort[1] 30053"}},
		"A6 an explicit number of two protocols is asked once":   {nil, svc(nodePort, ips("10.0.0.7"), port("t", 53, 30053), port("u", 53, 30053)), dual, []string{"ClusterIP[0] 10.0.0.7", "NodePort[0 1] 30053"}},
		"A6 on update, each new port gets its own":               {had, svc(nodePort, port("a", 80, 0), port("b", 81, 0), port("t", 53, 0), port("u", 53, 0)), dual, []string{"NodePort[2] any", "NodePort[3] any"}},
		"A8 health check of a Local load balancer":               {nil, svc(loadBalancer, ips("10.0.0.7"), local(0)), dual, []string{"ClusterIP[0] 10.0.0.7", "HealthCheckNodePort[] any"}},
		"A8 an explicit health check port":                       {nil, svc(loadBalancer, ips("10.0.0.7"), local(30009)), dual, []string{"ClusterIP[0] 10.0.0.7", "HealthCheckNodePort[] 30009"}},
		"A8 no health check for NodePort Services":               {nil, svc(nodePort, ips("10.0.0.7"), local(0)), dual, []string{"ClusterIP[0] 10.0.0.7"}},
		"A8 an existing health check port stays":                 {svc(loadBalancer, ips("10.0.0.7"), families(v4), local(30009)), svc(loadBalancer, ips("10.0.0.7"), families(v4), local(0)), dual, nil},
		"A9 a load balancer without node ports":                  {nil, svc(loadBalancer, noNodePorts, ips("10.0.0.7"), port("a", 80, 0), port("b", 81, 30001)), dual, []string{"ClusterIP[0] 10.0.0.7", "NodePort[1] 30001"}},
		"A10 what an update leaves out is carried over":          {had, svc(nodePort, port("a", 80, 0), port("b", 81, 0)), dual, nil},
		"A10 by name, in any order":                              {had, svc(nodePort, port("b", 81, 0), port("a", 80, 0)), dual, nil},
		"A10 but not when the number has moved":                  {had, svc(nodePort, port("b", 81, 30001), port("a", 80, 0)), dual, []string{"NodePort[1] any"}},
		"A10 the same numbers sent again":                        {had, had, dual, nil},
		"A11 ClusterIP to NodePort keeps the address":            {svc(ips("10.0.0.7"), families(v4), port("a", 80, 0)), svc(nodePort, ips("10.0.0.7"), families(v4), port("a", 80, 0)), dual, []string{"NodePort[0] any"}},
		"A11 NodePort to ClusterIP wants nothing":                {had, svc(port("a", 80, 30001)), dual, nil},
		"A12 ExternalName to NodePort gets everything anew":      {svc(externalName, port("a", 80, 30001)), svc(nodePort, port("a", 80, 30001)), dual, []string{"ClusterIP[0] any IPv4", "NodePort[0] 30001"}},
		"A12 ExternalName to an explicit address":                {svc(externalName), svc(func(s *corev1.Service) { s.Spec.ClusterIP = "10.0.0.7" }), dual, []string{"ClusterIP[0] 10.0.0.7"}},
		"A13 headless stays headless":                            {svc(ips("None"), families(v4)), svc(families(v4)), dual, nil},
		"A14 an update inherits the policy":                      {svc(ips("10.0.0.7"), families(v4), require), svc(ips("10.0.0.7"), families(v4)), dual, []string{"ClusterIP[1] any IPv6"}},
		"A15 an upgrade wants the second address":                {svc(ips("10.0.0.7"), families(v4), single), svc(ips("10.0.0.7"), families(v4), require), dual, []string{"ClusterIP[1] any IPv6"}},
		"A15 an upgrade to an explicit second address":           {svc(ips("10.0.0.7"), families(v4), single), svc(ips("10.0.0.7", "fd00::7"), families(v4), require), dual, []string{"ClusterIP[1] fd00::7"}},
		"A15 a downgrade wants nothing":                          {svc(ips("10.0.0.7", "fd00::7"), families(v4, v6), require), svc(ips("10.0.0.7", "fd00::7"), families(v4, v6), single), dual, nil},
		"A15 dropping an address without saying so":              {svc(ips("10.0.0.7"), families(v4, v6), require), svc(ips("10.0.0.7"), families(v4), require), dual, nil},
		"A15 PreferDualStack is not upgraded with the cluster":   {svc(ips("10.0.0.7"), families(v4), prefer), svc(ips("10.0.0.7"), families(v4), prefer), dual, nil},
		"a primary address that changes is for the server":       {had, svc(nodePort, ips("10.0.0.9"), families(v4), single, port("a", 80, 0), port("b", 81, 0)), dual, nil},
		"an old client that sends only the singular field again": {svc(ips("10.0.0.7", "fd00::7"), families(v4, v6), require), svc(func(s *corev1.Service) { s.Spec.ClusterIP = "10.0.0.7" }), dual, nil},
	} {
		t.Run(name, func(t *testing.T) {
			before := tc.new.DeepCopy()
			var got []string
			for _, d := range demandsOf(tc.old, tc.new, tc.cluster) {
				got = append(got, d.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("demands (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tc.new); diff != "" {
				t.Errorf("the Service was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func plan(index *Services, mode Mode, old, updated *corev1.Service) Plan {
	return index.Plan(PlanRequest{Old: old, New: updated, Mode: mode, Now: time.Unix(1000, 0)})
}

func ports(p Plan) map[int]int32 {
	got := map[int]int32{}
	for _, a := range p.Assignments {
		for _, i := range a.Field.Indexes {
			if a.Field.Kind == NodePort && !a.Explicit {
				got[i] = a.Number.Port
			}
		}
	}
	return got
}

func TestAdvisoryDecidesOnlyWhatTheServerGetsWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		service *corev1.Service
		want    int
	}{
		"automatic only":                   {svc(nodePort, port("a", 80, 0)), 0},
		"explicit only":                    {svc(nodePort, port("a", 80, 30001)), 0},
		"explicit before automatic":        {svc(nodePort, port("a", 80, 30001), port("b", 81, 0)), 0},
		"automatic before explicit":        {svc(nodePort, port("a", 80, 0), port("b", 81, 30001)), 1},
		"automatic before explicit health": {svc(loadBalancer, local(30001), port("a", 80, 0), port("b", 81, 0)), 2},
	} {
		t.Run(name, func(t *testing.T) {
			index := newIndex(t, "10.0.0.0/24")
			if got := plan(index, Advisory, nil, tc.service); len(got.Assignments) != tc.want || got.Refusals != nil {
				t.Errorf("plan is %+v, want %d assignments", got, tc.want)
			}
		})
	}
}

func TestAutomaticPortsAvoidTheExplicitOnesOfTheSameService(t *testing.T) {
	for range 50 {
		index := newIndexWithPorts(t, PortSpan{30000, 30002}, "10.0.0.0/24")
		got := ports(plan(index, Authoritative, nil, svc(nodePort, port("a", 80, 0), port("b", 81, 0), port("c", 82, 30001))))
		if len(got) != 2 || got[0] == 30001 || got[1] == 30001 || got[0] == got[1] {
			t.Fatalf("ports are %v", got)
		}
	}
}

func TestCarriedOverPortsAreNotGivenToNewOnes(t *testing.T) {
	old := svc(nodePort, ips("10.0.0.5"), families(v4), single, port("a", 80, 30000)) // not seen by the index yet
	for range 50 {
		index := newIndexWithPorts(t, PortSpan{30000, 30001}, "10.0.0.0/24")
		got := plan(index, Authoritative, old, svc(nodePort, port("a", 80, 0), port("b", 81, 0)))
		if diff := cmp.Diff(map[int]int32{1: 30001}, ports(got)); diff != "" {
			t.Fatalf("ports (-want +got):\n%s", diff)
		}
	}
}

func TestAPlanIsAllOrNothing(t *testing.T) {
	index := newIndexWithPorts(t, PortSpan{30000, 30001}, "10.0.0.0/24", "fd00::/112")
	before := index.Stats()
	got := plan(index, Authoritative, nil, svc(nodePort, require, port("a", 80, 0), port("b", 81, 0), port("c", 82, 0)))
	if len(got.Refusals) != 1 || got.Refusals[0].Full != "30000-30001" || got.Assignments != nil || got.ClusterIPs != nil {
		t.Errorf("plan is %+v", got)
	}
	if diff := cmp.Diff(before, index.Stats()); diff != "" {
		t.Errorf("a refused plan kept numbers (-before +after):\n%s", diff)
	}
}

func TestDryRunGivesRealNumbersAndKeepsNone(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24", "fd00::/112")
	before := index.Stats()
	got := index.Plan(PlanRequest{New: svc(loadBalancer, prefer, local(0), port("a", 80, 0)), Mode: Advisory, DryRun: true})
	if len(got.Assignments) != 4 || len(got.ClusterIPs) != 2 {
		t.Errorf("plan is %+v", got)
	}
	if diff := cmp.Diff(before, index.Stats()); diff != "" {
		t.Errorf("the dry-run kept numbers (-before +after):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24")
	holder := svc(loadBalancer, ips("10.0.0.9"), local(30009), port("a", 80, 30001))
	holder.Name = "holder"
	index.Observe(stored(holder, "u1", 1))
	for name, tc := range map[string]struct {
		service *corev1.Service
		want    []string
	}{
		"a port":                         {svc(nodePort, port("a", 80, 0), port("b", 81, 30001)), []string{"NodePort[1] 30001 held by default/holder"}},
		"a health check port as a port":  {svc(nodePort, port("a", 80, 30009)), []string{"NodePort[0] 30009 held by default/holder"}},
		"an address":                     {svc(ips("10.0.0.9")), []string{"ClusterIP[0] 10.0.0.9 held by default/holder"}},
		"everything wrong is told":       {svc(nodePort, ips("10.0.0.9"), port("a", 80, 30001), port("b", 81, 80)), []string{"ClusterIP[0] 10.0.0.9 held by default/holder", "NodePort[0] 30001 held by default/holder", "NodePort[1] 80 not in 30000-32767"}},
		"the network address":            {svc(ips("10.0.0.0")), []string{"ClusterIP[0] 10.0.0.0 not in 10.0.0.0/24"}},
		"an address of another network":  {svc(ips("10.1.0.1")), []string{"ClusterIP[0] 10.1.0.1 not in 10.0.0.0/24"}},
		"a NodePort of a ClusterIP type": {svc(ips("10.0.0.10"), port("a", 80, 30001)), nil}, // for the server
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, r := range plan(index, Authoritative, nil, tc.service).Refusals {
				text := fmt.Sprintf("%s%v %s ", r.Field.Kind, r.Field.Indexes, r.Number)
				if r.Range != "" {
					text += "not in " + r.Range
				} else {
					text += "held by " + r.Holders[0].Service.String()
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("refusals (-want +got):\n%s", diff)
			}
		})
	}
	if got := index.Stats()[0].Allocated; got != 2 {
		t.Errorf("refused requests changed the ports in use to %d", got)
	}
}

func TestAPortOutOfRangeIsForTheServerWhereTheServerDecides(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24")
	holder := svc(nodePort, ips("10.0.0.9"), port("a", 80, 80))
	holder.Name = "holder"
	index.Observe(stored(holder, "u1", 1))
	if got := plan(index, Advisory, nil, svc(nodePort, port("a", 80, 81))).Refusals; got != nil {
		t.Errorf("refused in advisory mode, where the range may be wider than we were told: %+v", got)
	}
	got := plan(index, Advisory, nil, svc(nodePort, port("a", 80, 80))).Refusals
	if len(got) != 1 || len(got[0].Holders) != 1 || got[0].Free != "free: 30000-32767" {
		t.Errorf("a collision out there: %+v, want its holder and what is free", got)
	}
}

func TestACreateOfWhatExistsIsNoCollision(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24")
	web := svc(nodePort, ips("10.0.0.9"), port("a", 80, 30001))
	index.Observe(stored(web, "u1", 1))
	other := svc(nodePort, port("a", 80, 30002))
	other.Name = "other"
	index.Observe(stored(other, "u2", 1))
	if got := plan(index, Authoritative, nil, web); !got.Exists || !got.Collides || got.Refusals != nil {
		t.Errorf("the same again: %+v", got)
	}
	if got := plan(index, Authoritative, nil, svc(nodePort, port("a", 80, 30002))); !got.Exists || !got.Collides || got.Refusals != nil {
		t.Errorf("the same name with another's number: %+v", got)
	}
	if got := plan(index, Authoritative, nil, svc(nodePort, port("a", 80, 0))); !got.Exists || got.Collides || got.Assignments != nil {
		t.Errorf("the same name only: %+v", got)
	}
}

func TestClaimsKeepNumbersUntilTheyAreHeld(t *testing.T) {
	index := newIndexWithPorts(t, PortSpan{30000, 30001})
	first := plan(index, Authoritative, nil, svc(nodePort, port("a", 80, 0)))
	other := svc(nodePort, port("a", 80, 0))
	other.Name = "other"
	second := plan(index, Authoritative, nil, other)
	if len(ports(first)) != 1 || len(ports(second)) != 1 || ports(first)[0] == ports(second)[0] {
		t.Fatalf("first %+v, second %+v", first, second)
	}
	// Full by claims only, of requests under way, which are waited for.
	third := svc(nodePort, port("a", 80, 0))
	third.Name = "third"
	if got := plan(index, Authoritative, nil, third); got.Refusals != nil || got.Assignments != nil || len(got.Spares) != 1 {
		t.Errorf("full of claims: %+v", got)
	}
	number := first.Assignments[0].Number
	index.Observe(stored(svc(nodePort, port("a", 80, number.Port)), "u1", 1))
	made := Claim{Number: number, Service: keyOf(svc()), UID: "claim-2"}
	index.Claim(made)
	index.Unclaim(Claim{Number: number, Service: keyOf(svc()), UID: "claim-1"}) // a late event
	if !index.Claimed(number) {
		t.Error("the end of an earlier claim ended this one")
	}
	index.Unclaim(made)
	index.Unclaim(made)
	if !index.ranges.ports.Has(number.Port) {
		t.Error("collecting the claim freed a number that is held")
	}
	index.ExpireClaims(time.Unix(1001, 0), func(types.UID) bool { return false })
	if index.Claimed(second.Assignments[0].Number) || index.ranges.ports.Used() != 1 {
		t.Error("an old claim did not expire")
	}
}

func TestARetriedRequestGetsTheSameNumbers(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24")
	web := svc(nodePort, port("a", 80, 0), port("b", 81, 0))
	at := func(seconds int64) Plan {
		return index.Plan(PlanRequest{New: web, Mode: Authoritative, Now: time.Unix(seconds, 0)})
	}
	numbers := func(p Plan) map[Number]bool {
		set := map[Number]bool{}
		for _, a := range p.Assignments {
			set[a.Number] = true
		}
		return set
	}
	equal := cmp.Comparer(func(a, b Number) bool { return a == b })
	first, beside, retried := at(1000), at(1000), at(1005)
	for n := range numbers(beside) {
		if numbers(first)[n] {
			t.Errorf("%s was given to two requests at once", n)
		}
	}
	both := numbers(first)
	for n := range numbers(beside) {
		both[n] = true
	}
	for n := range numbers(retried) {
		if !both[n] {
			t.Errorf("the retry uses up %s", n)
		}
	}
	if got := len(numbers(retried)); got != 3 {
		t.Errorf("the retry has %d numbers, want 3", got)
	}
	if got := numbers(at(1040)); cmp.Equal(got, numbers(retried), equal) {
		t.Error("a claim about to be collected was used again")
	}
	anything := func(Number) bool { return true }
	if _, got := index.reusable(types.NamespacedName{Namespace: "default"}, anything, true, time.Unix(1005, 0)); got {
		t.Error("requests without a name share claims")
	}
}
