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

package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
)

func TestOneClaimThatIsDueIsTakenOverForEachNumber(t *testing.T) {
	now := time.Unix(1000, 0)
	spare := func(port int32, due time.Duration) allocator.Spare {
		return allocator.Spare{Claim: allocator.Claim{Number: allocator.PortNumber(port)}, Due: now.Add(due)}
	}
	for name, tc := range map[string]struct {
		spares [][]allocator.Spare
		want   string
		next   time.Duration // zero: none is waited for
	}{
		"the first that is due":                {[][]allocator.Spare{{spare(1, -1), spare(2, 0)}}, "1", 0},
		"one that is due just now":             {[][]allocator.Spare{{spare(1, 0)}}, "1", 0},
		"none before it is due":                {[][]allocator.Spare{{spare(1, 1), spare(2, 2)}}, "", 1},
		"one of each":                          {[][]allocator.Spare{{spare(1, 0), spare(2, 0)}, {spare(7, 0), spare(8, 0)}}, "1 7", 0},
		"another where both have the same":     {[][]allocator.Spare{{spare(1, 0), spare(2, 0)}, {spare(1, 0), spare(2, 0)}}, "1 2", 0},
		"only one where there is no other":     {[][]allocator.Spare{{spare(1, 0)}, {spare(1, 0)}}, "1", 0},
		"the earliest is waited for":           {[][]allocator.Spare{{spare(1, 5)}, {spare(2, 3)}, {spare(3, 4)}}, "", 3},
		"one that is due, and one that is not": {[][]allocator.Spare{{spare(1, 5)}, {spare(2, 0)}}, "2", 5},
	} {
		t.Run(name, func(t *testing.T) {
			due, next := dueOf(tc.spares, now)
			var got string
			for _, spare := range due {
				got += " " + spare.Claim.Number.String()
			}
			if got = strings.TrimSpace(got); got != tc.want || tc.next > 0 && !next.Equal(now.Add(tc.next)) || tc.next == 0 && !next.IsZero() {
				t.Errorf("took over %q, want %q; the next in %v, want %v", got, tc.want, next.Sub(now), tc.next)
			}
		})
	}
}

// Claims are all that keeps two ports, or addresses, from a request.
func TestAClaimIsTakenOverWhereNobodyHasItsNumber(t *testing.T) {
	const others = "others"
	for name, tc := range map[string]struct {
		claims  map[string]time.Duration // of nodeport-30000 and so on, by age
		exists  written                  // what a look past the cache shows
		taken   []int32                  // of which the server says that it gave them
		broken  bool                     // it can not be asked about ports
		waited  bool                     // for as long as a request waits
		left    []string                 // of the claims
		avoided []string
		crowded bool
	}{
		"its request has had its time": {claims: map[string]time.Duration{"nodeport-30000": 3 * time.Second}},
		"its request is under way": {
			claims: map[string]time.Duration{"nodeport-30000": 2900 * time.Millisecond}, left: []string{"nodeport-30000"},
		},
		"its request is under way, and enough was waited": {
			claims: map[string]time.Duration{"nodeport-30000": 2900 * time.Millisecond}, waited: true, left: []string{"nodeport-30000"}, crowded: true,
		},
		"of two only the one that is needed": {
			claims: map[string]time.Duration{"nodeport-30000": 4 * time.Second, "nodeport-30001": 5 * time.Second}, left: []string{"nodeport-30000"},
		},
		"its Service has come to have it": {
			claims: map[string]time.Duration{"nodeport-30000": 4 * time.Second}, exists: written{service: 30000}, left: []string{"nodeport-30000"},
		},
		"the server has given it": {
			claims: map[string]time.Duration{"nodeport-30000": 4 * time.Second}, taken: []int32{30000}, left: []string{"nodeport-30000"}, avoided: []string{"30000"},
		},
		"the server does not say": {claims: map[string]time.Duration{"nodeport-30000": 4 * time.Second}, broken: true},
		"its address is on record": {
			claims: map[string]time.Duration{"clusterip-10.0.0.7": 4 * time.Second}, exists: written{record: "10.0.0.7"},
			left: []string{"clusterip-10.0.0.7"}, avoided: []string{"10.0.0.7"},
		},
		"its address is not": {claims: map[string]time.Duration{"clusterip-10.0.0.7": 4 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			world := newAllocationWorld()
			a := world.replica(t, allocator.Authoritative, twoPorts)
			ctx := context.Background()
			var spares []allocator.Spare
			for name, age := range tc.claims {
				number, err := allocator.ParseObjectName(name)
				if err != nil {
					t.Fatal(err)
				}
				claim := allocator.Claim{Number: number, Service: types.NamespacedName{Namespace: others, Name: "claimed"}, Created: a.Now().Add(-age)}
				lease := allocator.ClaimLease("system", claim, "")
				lease.UID = types.UID(name)
				claim.UID = lease.UID
				if err := world.client.Create(ctx, lease); err != nil {
					t.Fatal(err)
				}
				a.Index.Claim(claim)
				spares = append(spares, allocator.Spare{Claim: claim, Due: claim.Created.Add(allocator.RequestsEnd)})
			}
			slices.SortFunc(spares, func(a, b allocator.Spare) int { return a.Due.Compare(b.Due) })
			tc.exists.create(t, world, others)
			world.probe = func(ports []int32) (int32, error) {
				if tc.broken {
					return 0, errors.New("no such luck")
				}
				for _, port := range ports {
					if slices.Contains(tc.taken, port) {
						return port, nil
					}
				}
				return 0, nil
			}
			request := &allocationRequest{new: nodePortService("web", 0)}
			if tc.waited {
				request.waited = patience
			}
			if err := a.makeRoom(ctx, request, allocator.Plan{Spares: [][]allocator.Spare{spares}}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.left, world.claims(t)); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			for _, spare := range spares {
				name := spare.Claim.Number.ObjectName()
				if got, want := a.Index.Claimed(spare.Claim.Number), slices.Contains(tc.left, name); got != want {
					t.Errorf("%s counts as claimed: %v", name, got)
				}
			}
			var avoided []string
			for _, number := range request.avoid {
				avoided = append(avoided, number.String())
			}
			if diff := cmp.Diff(tc.avoided, avoided); diff != "" || request.crowded != tc.crowded {
				t.Errorf("crowded %v; avoided (-want +got):\n%s", request.crowded, diff)
			}
		})
	}
}

// written is what another one has written.
type written struct {
	service int32  // the port of the Service that the claims are for
	record  string // the address of an IPAddress
}

func (w written) create(t *testing.T, world *allocationWorld, namespace string) {
	t.Helper()
	if w.service != 0 {
		service := nodePortService("claimed", w.service)
		service.Namespace, service.UID = namespace, "claimed"
		if err := world.client.Create(context.Background(), service); err != nil {
			t.Fatal(err)
		}
	}
	if w.record != "" {
		if err := world.client.Create(context.Background(), &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: w.record}}); err != nil {
			t.Fatal(err)
		}
	}
}

// The range is full of claims: what an authoritative manager can not give, the
// server is not left to draw.
func TestAnAuthoritativeManagerLeavesNoClaimedNumberToTheServer(t *testing.T) {
	for mode, want := range map[allocator.Mode]bool{allocator.Authoritative: false, allocator.Advisory: true} {
		a := newAllocationWorld().replica(t, mode, twoPorts)
		for port := twoPorts.First; port <= twoPorts.Last; port++ {
			a.Index.Claim(allocator.Claim{Number: allocator.PortNumber(port), UID: types.UID(fmt.Sprint(port)), Created: a.Now()})
		}
		request := allocator.PlanRequest{New: nodePortService("web", 0), Mode: mode, Now: a.Now(), Crowded: true}
		if plan := a.Index.Plan(request); (len(plan.Refusals) == 0) != want || len(plan.Assignments) > 0 {
			t.Errorf("%s: %+v", mode, plan)
		}
	}
}

func TestUpdatesThatTheServerRefusesAreNotClaimedFor(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*corev1.Service)
		claims []string
	}{
		"valid":            {func(*corev1.Service) {}, []string{"nodeport-30000"}},
		"no such affinity": {func(s *corev1.Service) { s.Spec.SessionAffinity = "Sometimes" }, nil},
		"another address":  {func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "10.0.0.8", []string{"10.0.0.8"} }, nil},
		"an address as of old": {
			func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"192.000.002.007"} }, []string{"nodeport-30000"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			world := newAllocationWorld()
			a := world.replica(t, allocator.Authoritative, allocator.PortSpan{First: 30000, Last: 30000})
			old := nodePortService("web")
			old.Spec.Type, old.UID, old.ResourceVersion = corev1.ServiceTypeClusterIP, "web", "1"
			old.Spec.Selector = map[string]string{"app": "web"}
			old.Spec.Ports = []corev1.ServicePort{{Name: "p0", Port: 80, Protocol: corev1.ProtocolTCP}}
			old.Spec.SessionAffinity, old.Spec.IPFamilies = corev1.ServiceAffinityNone, []corev1.IPFamily{corev1.IPv4Protocol}
			old.Spec.IPFamilyPolicy, old.Spec.InternalTrafficPolicy = new(corev1.IPFamilyPolicySingleStack), new(corev1.ServiceInternalTrafficPolicyCluster)
			a.Index.Observe(old)
			service := old.DeepCopy()
			service.Spec.Type, service.Spec.ExternalTrafficPolicy = corev1.ServiceTypeNodePort, corev1.ServiceExternalTrafficPolicyCluster
			tc.change(service)
			request := create(t, service, "admin")
			request.Operation, request.OldObject = "UPDATE", create(t, old, "admin").Object
			a.Handle(context.Background(), request)
			if diff := cmp.Diff(tc.claims, world.claims(t)); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

// What is open is read past the cache, of a range that was known as closed, too.
func TestARangeThatHasBeenOpenedIsLookedUpBeforeAnAddressIsRefused(t *testing.T) {
	cidr := &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.0.0.0/24"}}}
	a := newAllocationWorld(cidr).replica(t, allocator.Authoritative, twoPorts)
	if err := a.Index.SetServiceCIDRs([]corev1.IPFamily{corev1.IPv4Protocol}, []allocator.ServiceCIDR{{Prefix: netip.MustParsePrefix("10.0.0.0/24")}}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false} {
		if stale, err := a.newServiceCIDR(context.Background()); err != nil || stale != want {
			t.Errorf("look %d: something new %v, %v", i, stale, err)
		}
	}
}
