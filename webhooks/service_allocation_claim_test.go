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
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// The other replica has claimed the number for a Service that this one has not
// been told of.
func TestACollisionBetweenReplicasNamesTheHolder(t *testing.T) {
	holder := nodePortService("first", 30000)
	for name, tc := range map[string]struct {
		objects  []client.Object
		claimant string
		allowed  bool
	}{
		"its request has become a Service":   {[]client.Object{holder}, "team/first", false},
		"its request has come to nothing":    {nil, "team/first", true},
		"the name was yet to be generated":   {nil, "team/", true},
		"an earlier attempt has claimed it":  {nil, "team/web", true},
		"it is for another number meanwhile": {[]client.Object{nodePortService("first", 30001)}, "team/first", true},
	} {
		t.Run(name, func(t *testing.T) {
			lease := &coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "nodeport-30000", CreationTimestamp: metav1.NewTime(time.Unix(900, 0))},
				Spec:       coordinationv1.LeaseSpec{HolderIdentity: &tc.claimant},
			}
			world := newAllocationWorld(append(slices.Clone(tc.objects), lease)...)
			a := world.replica(t, allocator.Authoritative, twoPorts)
			response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 30000)), "admin"))
			if tc.allowed {
				if !response.Allowed || len(response.Warnings) > 0 {
					t.Errorf("response is %+v, want it to pass", response)
				}
				return
			}
			want := "spec.ports[0].nodePort: Invalid value: 30000: held by Service team/first; free: 30001"
			if diff := cmp.Diff(want, causeOf(t, response)); diff != "" {
				t.Errorf("cause (-want +got):\n%s", diff)
			}
			if got := world.claims(t); len(got) != 1 {
				t.Errorf("claims are %v, want that of the other", got) // what was claimed for the ClusterIP is given back
			}
		})
	}
}

func TestExplicitNumbersAreClaimedInAuthoritativeMode(t *testing.T) {
	for mode, want := range map[allocator.Mode][]string{
		allocator.Advisory:      nil,
		allocator.Authoritative: {"clusterip-10.0.0.9", "nodeport-30000"},
	} {
		world := newAllocationWorld()
		a := world.replica(t, mode, twoPorts)
		response := a.Handle(context.Background(), create(t, nodePortService("web", 30000), "admin"))
		if !response.Allowed || response.Patch != nil {
			t.Errorf("%s: response is %+v, want it to pass as it is", mode, response)
		}
		if diff := cmp.Diff(want, world.claims(t)); diff != "" {
			t.Errorf("%s: claims (-want +got):\n%s", mode, diff)
		}
	}
}

func TestTheServersRecordNamesAHolderThatTheWatchHasNotToldOf(t *testing.T) {
	holder := nodePortService("db", 30000)
	address := func(parent networkingv1.ParentReference) *networkingv1.IPAddress {
		return &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: "10.0.0.9"}, Spec: networkingv1.IPAddressSpec{ParentRef: &parent}}
	}
	ofService := func(name string) *networkingv1.IPAddress {
		return address(networkingv1.ParentReference{Resource: "services", Namespace: "team", Name: name})
	}
	reserved := &v1alpha1.AddressReservation{ObjectMeta: metav1.ObjectMeta{Name: "10.0.0.9"}, Spec: v1alpha1.AddressReservationSpec{Address: "10.0.0.9"}}
	const field = "spec.clusterIPs[0]: Invalid value: \"10.0.0.9\": "
	for name, tc := range map[string]struct {
		objects []client.Object
		want    string // "" passes
	}{
		"a Service":                         {[]client.Object{holder, ofService("db")}, field + "held by Service team/db; free: 10.0.0.10-10.0.0.254, 10.0.0.1-10.0.0.8"},
		"a Service that is not there":       {[]client.Object{ofService("gone")}, ""},
		"the Service itself":                {[]client.Object{ofService("web")}, ""},
		"a reservation":                     {[]client.Object{reserved, address(networkingv1.ParentReference{Group: "switchyard.dev", Resource: "addressreservations", Name: "10.0.0.9"})}, field + "reserved for no Service (AddressReservation 10.0.0.9); free: 10.0.0.10-10.0.0.254, 10.0.0.1-10.0.0.8"},
		"something of which we know nought": {[]client.Object{address(networkingv1.ParentReference{Group: "example.com", Resource: "gateways", Name: "a"})}, ""},
		"nobody":                            {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAllocationWorld(tc.objects...).replica(t, allocator.Advisory, twoPorts)
			web := nodePortService("web")
			web.Spec.Type = corev1.ServiceTypeClusterIP
			response := a.Handle(context.Background(), create(t, web, "admin"))
			if tc.want == "" {
				if !response.Allowed || len(response.Warnings) > 0 {
					t.Errorf("response is %+v, want it to pass", response)
				}
				return
			}
			if diff := cmp.Diff(tc.want, causeOf(t, response)); diff != "" {
				t.Errorf("cause (-want +got):\n%s", diff)
			}
		})
	}
}

// Of six addresses the API server has a record of five, and no Service has any.
func TestAnAddressOnRecordIsNotChosen(t *testing.T) {
	var records []client.Object
	for _, name := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.5", "10.0.0.6"} {
		records = append(records, &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	world := newAllocationWorld(records...)
	a := world.replica(t, allocator.Authoritative, twoPorts)
	cidrs := []allocator.ServiceCIDR{{Prefix: netip.MustParsePrefix("10.0.0.0/29"), Ready: true}}
	if err := a.Index.SetServiceCIDRs([]corev1.IPFamily{corev1.IPv4Protocol}, cidrs); err != nil {
		t.Fatal(err)
	}
	web := withoutAddress(nodePortService("web", 0))
	web.Spec.Type = corev1.ServiceTypeClusterIP
	if response := a.Handle(context.Background(), create(t, web, "admin")); !response.Allowed || response.Patch == nil {
		t.Fatalf("response is %+v, want a patch", response)
	}
	if diff := cmp.Diff([]string{"clusterip-10.0.0.4"}, world.claims(t)); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

// The Service of the claim is gone, and this replica has seen it hold the port. Who
// did not know that would wait for it, as its claim is young, and claim nothing.
func TestAClaimThatHasEndedIsNotWaitedFor(t *testing.T) {
	const before, byRead, meanwhile = "as the watch has told", "as a read tells", "as the watch tells meanwhile"
	for _, known := range []string{before, byRead, meanwhile} {
		t.Run(known, func(t *testing.T) {
			claimant := "team/first"
			lease := &coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "nodeport-30000", UID: "l", CreationTimestamp: metav1.NewTime(time.Unix(1000, 0))},
				Spec:       coordinationv1.LeaseSpec{HolderIdentity: &claimant},
			}
			world := newAllocationWorld(lease)
			a := world.replica(t, allocator.Authoritative, twoPorts)
			claim, err := allocator.ClaimOfLease(lease)
			if err != nil {
				t.Fatal(err)
			}
			a.Index.Claim(claim)
			first := nodePortService("first", 30000)
			first.UID = "f"
			first.Spec.ClusterIP, first.Spec.ClusterIPs = "10.0.0.77", []string{"10.0.0.77"}
			come := func() { a.Index.Observe(first) }
			gone := func() { a.Index.Forget(types.NamespacedName{Namespace: "team", Name: "first"}, first.UID) }
			switch known {
			case before:
				come()
				gone()
			case byRead:
				come()
			case meanwhile:
				a.Reader = readsAfter{world.client, func() { come(); gone() }}
			}
			request := create(t, nodePortService("web", 30000), "admin")
			response := a.Handle(t.Context(), request)
			if !response.Allowed || len(response.Warnings) > 0 {
				t.Errorf("response is %+v, want it to pass", response)
			}
			var now coordinationv1.Lease
			if err := world.client.Get(t.Context(), client.ObjectKeyFromObject(lease), &now); err != nil {
				t.Fatal(err)
			}
			if *now.Spec.HolderIdentity != "team/web" {
				t.Errorf("the port is claimed for %s", *now.Spec.HolderIdentity)
			}
			if got := world.claims(t); !slices.Equal(got, []string{"clusterip-10.0.0.9", "nodeport-30000"}) {
				t.Errorf("claims are %v", got)
			}
		})
	}
}

// readsAfter reads a Service when something has happened.
type readsAfter struct {
	client.Reader
	happens func()
}

func (r readsAfter) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if _, service := object.(*corev1.Service); service {
		r.happens()
	}
	return r.Reader.Get(ctx, key, object, options...)
}
