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
	"encoding/json"
	"errors"
	"fmt"
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
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// releases notes what is let go of, and which claims there were by then.
type releases struct {
	world    *allocationWorld
	t        *testing.T
	released []string
	claims   []string
	err      error
}

func (r *releases) Release(_ context.Context, n allocator.Number) error {
	r.released, r.claims = append(r.released, n.String()), r.world.claims(r.t)
	return r.err
}

func portReservation(name, namespace, service string) *v1alpha1.PortReservation {
	return &v1alpha1.PortReservation{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.PortReservationSpec{ServiceRef: &v1alpha1.ServiceReference{Namespace: namespace, Name: service}},
	}
}

func reserve(t *testing.T, a *ServiceAllocation, object *v1alpha1.PortReservation) {
	t.Helper()
	reservation, err := allocator.ReservationOfPort(object)
	if err != nil {
		t.Fatal(err)
	}
	a.Index.Reserve(reservation)
}

// withoutAddress asks for a NodePort and leaves the ClusterIP to the server.
func withoutAddress(service *corev1.Service) *corev1.Service {
	service.Spec.ClusterIP, service.Spec.ClusterIPs = "", nil
	return service
}

func TestAReservationIsNamedToWhoMayReadItsService(t *testing.T) {
	kept := portReservation("30000", "secret", "db")
	for user, want := range map[string]string{
		"admin": "spec.ports[0].nodePort: Invalid value: 30000: reserved for Service secret/db (PortReservation 30000); free: 30001",
		"bob":   "spec.ports[0].nodePort: Invalid value: 30000: reserved for a Service of another namespace (PortReservation 30000); free: 30001",
	} {
		a := newAllocationWorld(kept).replica(t, allocator.Advisory, twoPorts)
		reserve(t, a, kept)
		response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 30000)), user))
		if diff := cmp.Diff(want, causeOf(t, response)); diff != "" {
			t.Errorf("cause for %s (-want +got):\n%s", user, diff)
		}
	}
	nobody := &v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: "30001"}}
	a := newAllocationWorld(nobody).replica(t, allocator.Advisory, twoPorts)
	reserve(t, a, nobody)
	response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 30001)), "bob"))
	want := "spec.ports[0].nodePort: Invalid value: 30001: reserved for no Service (PortReservation 30001); free: 30000"
	if diff := cmp.Diff(want, causeOf(t, response)); diff != "" {
		t.Errorf("cause (-want +got):\n%s", diff)
	}
}

func TestAReservationIsConfirmedBeforeItRefuses(t *testing.T) {
	for name, live := range map[string][]client.Object{
		"deleted a moment ago":         nil,
		"for the Service a moment ago": {portReservation("30000", "team", "web")},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAllocationWorld(live...).replica(t, allocator.Advisory, twoPorts)
			reserve(t, a, portReservation("30000", "secret", "db"))
			response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 30000)), "admin"))
			if !response.Allowed || len(response.Warnings) > 0 {
				t.Errorf("response is %+v, want it to pass", response)
			}
		})
	}
}

func TestAReservedNumberIsClaimedAndThenLetGoOf(t *testing.T) {
	for name, tc := range map[string]struct {
		asked                   int32
		dryRun                  bool
		wantReleased, wantClaim []string
	}{
		"asked for by number":  {30000, false, []string{"30000"}, []string{"nodeport-30000"}},
		"asked for any number": {0, false, []string{"30000"}, []string{"nodeport-30000"}},
		"dry-run":              {0, true, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			world := newAllocationWorld()
			a := world.replica(t, allocator.Advisory, twoPorts)
			releaser := &releases{world: world, t: t}
			a.Releaser = releaser
			reserve(t, a, portReservation("30000", "team", "web"))
			request := create(t, withoutAddress(nodePortService("web", tc.asked)), "bob")
			request.DryRun = &tc.dryRun
			response := a.Handle(context.Background(), request)
			if tc.asked == 0 {
				if got := patched(t, response); got != 30000 {
					t.Errorf("given %v, want the reserved number", got)
				}
			} else if !response.Allowed || response.Patch != nil {
				t.Errorf("response is %+v, want it to pass as it is", response)
			}
			if diff := cmp.Diff(tc.wantReleased, releaser.released); diff != "" {
				t.Errorf("let go of (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantClaim, releaser.claims); diff != "" {
				t.Errorf("claims when it was let go of (-want +got):\n%s", diff)
			}
			if got := world.claims(t); len(got) != len(tc.wantClaim) {
				t.Errorf("claims are %v", got)
			}
		})
	}
}

func TestADryRunPassesWhereAPlaceholderHoldsThePort(t *testing.T) {
	for asked, want := range map[int32]string{0: "0", 30000: "0"} {
		a := newAllocationWorld().replica(t, allocator.Advisory, twoPorts)
		a.Index.SetPlaceholders(func(s *corev1.Service) bool { return s.Namespace == "system" })
		holder := nodePortService("reserved", 30000)
		holder.Namespace = "system"
		a.Index.Observe(holder)
		reserve(t, a, portReservation("30000", "team", "web"))
		request := create(t, withoutAddress(nodePortService("web", asked)), "bob")
		request.DryRun = new(true)
		response := a.Handle(context.Background(), request)
		if got := fmt.Sprint(patched(t, response)); got != want {
			t.Errorf("asked for %d the port is set to %s: the server would refuse anything but %s", asked, got, want)
		}
		warning := []string{"spec.ports[0].nodePort will be 30000, which is reserved for this Service; a dry-run can not show it"}
		if diff := cmp.Diff(warning, response.Warnings); diff != "" {
			t.Errorf("asked for %d, warnings (-want +got):\n%s", asked, diff)
		}
	}
}

func TestAReservedNumberThatIsNotLetGoOfIsWorthAnotherTry(t *testing.T) {
	world := newAllocationWorld()
	a := world.replica(t, allocator.Advisory, twoPorts)
	a.Releaser = &releases{world: world, t: t, err: errors.New("the placeholder can not be written")}
	reserve(t, a, portReservation("30000", "team", "web"))
	response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 0)), "bob"))
	if response.Allowed || response.Result.Code != 503 ||
		response.Result.Message != "30000 is reserved for this Service and could not be handed over; try again, the manager's log says why" {
		t.Errorf("response is %+v", response.Result)
	}
	if got := world.claims(t); got != nil {
		t.Errorf("claims left behind: %v", got)
	}
	if a.Index.Claimed(allocator.PortNumber(30000)) {
		t.Error("the index still has the claim")
	}
}

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
	web := withoutAddress(nodePortService("web"))
	web.Spec.Type = corev1.ServiceTypeClusterIP
	if response := a.Handle(context.Background(), create(t, web, "admin")); !response.Allowed || response.Patch == nil {
		t.Fatalf("response is %+v, want a patch", response)
	}
	if diff := cmp.Diff([]string{"clusterip-10.0.0.4"}, world.claims(t)); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

func poolObject(name, team string, ranges ...v1alpha1.PortRange) *v1alpha1.PortPool {
	return &v1alpha1.PortPool{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.PortPoolSpec{Ranges: ranges, NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": team}}},
	}
}

func namespaceOf(team string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team", Labels: map[string]string{"team": team}}}
}

func observe(t *testing.T, a *ServiceAllocation, pools ...*v1alpha1.PortPool) {
	t.Helper()
	var items []v1alpha1.PortPool
	for _, pool := range pools {
		items = append(items, *pool)
	}
	if err := a.Index.ObservePools(items, nil); err != nil {
		t.Fatal(err)
	}
}

func TestANamespaceGetsThePortsOfItsPools(t *testing.T) {
	red := poolObject("red", "red", "30001")
	world := newAllocationWorld(namespaceOf("red"), red)
	a := world.replica(t, allocator.Advisory, twoPorts)
	observe(t, a, red)
	a.Cached = newAllocationWorld().client // the namespace is so young that the watch has not told of it
	if got := patched(t, a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 0)), "bob"))); got != 30001 {
		t.Errorf("given %v, want the port of the pool", got)
	}
	response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("second", 0)), "bob"))
	want := "spec.ports[0].nodePort: Forbidden: no number is free in pool red (30001-30001)"
	if diff := cmp.Diff(want, causeOf(t, response)); diff != "" {
		t.Errorf("cause (-want +got):\n%s", diff)
	}
}

func TestPoolsAreConfirmedBeforeTheyRefuse(t *testing.T) {
	manual := poolObject("red", "red", "30001")
	manual.Spec.AutoAssign = new(false)
	for name, tc := range map[string]struct {
		live []client.Object
		want string // "" gives a port
	}{
		"as the index has it": {
			[]client.Object{namespaceOf("red"), manual},
			"spec.ports[0].nodePort: Forbidden: no pool of namespace team gives numbers by itself: ask for one by number, or have one of the pools do so (spec.autoAssign): pool red (30001-30001)",
		},
		"the pool gives since a moment ago":           {[]client.Object{namespaceOf("red"), poolObject("red", "red", "30001")}, ""},
		"the namespace was labelled a moment ago":     {[]client.Object{namespaceOf("blue"), manual}, ""},
		"another pool was made a moment ago":          {[]client.Object{namespaceOf("red"), manual, poolObject("more", "red", "30000")}, ""},
		"the pool was deleted a moment ago, with all": {[]client.Object{namespaceOf("red")}, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAllocationWorld(tc.live...).replica(t, allocator.Advisory, twoPorts)
			a.Cached = newAllocationWorld(namespaceOf("red")).client
			observe(t, a, manual)
			response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 0)), "bob"))
			switch tc.want {
			case "":
				patched(t, response)
			case "none":
				if !response.Allowed || response.Patch != nil {
					t.Errorf("response is %+v, want it left to the server", response)
				}
			default:
				if diff := cmp.Diff(tc.want, causeOf(t, response)); diff != "" {
					t.Errorf("cause (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestNodePortsOfLoadBalancersDefaultByPool(t *testing.T) {
	sparing := poolObject("sparing", "red", "30001")
	sparing.Spec.AllocateLoadBalancerNodePorts = new(false)
	sparing.Spec.Priority = 1
	generous := poolObject("generous", "red", "30010")
	generous.Spec.AllocateLoadBalancerNodePorts = new(true)
	balancer := func(edits ...func(*corev1.Service)) *corev1.Service {
		s := withoutAddress(nodePortService("web", 0))
		s.Spec.Type, s.Spec.AllocateLoadBalancerNodePorts = corev1.ServiceTypeLoadBalancer, new(true) // the server's default
		for _, edit := range edits {
			edit(s)
		}
		return s
	}
	applied := func(raw string) func(*corev1.Service) {
		return func(s *corev1.Service) {
			s.ManagedFields = []metav1.ManagedFieldsEntry{{Operation: metav1.ManagedFieldsOperationApply, FieldsV1: &metav1.FieldsV1{Raw: []byte(raw)}}}
		}
	}
	for name, tc := range map[string]struct {
		service *corev1.Service
		team    string
		want    bool // is set to false
	}{
		"nothing is said":        {balancer(), "red", true},
		"in another namespace":   {balancer(), "blue", false},
		"it is no load balancer": {balancer(func(s *corev1.Service) { s.Spec.Type, s.Spec.AllocateLoadBalancerNodePorts = "NodePort", nil }), "red", false},
		"false is said":          {balancer(func(s *corev1.Service) { s.Spec.AllocateLoadBalancerNodePorts = new(false) }), "red", false},
		"a port is asked for":    {balancer(func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 30001 }), "red", false},
		"true is said to kubectl apply": {balancer(func(s *corev1.Service) {
			s.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: `{"kind":"Service","spec":{"allocateLoadBalancerNodePorts":true}}`}
		}), "red", false},
		"nothing is said to kubectl apply": {balancer(func(s *corev1.Service) {
			s.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: `{"kind":"Service","spec":{"type":"LoadBalancer"}}`}
		}), "red", true},
		"true is said to server-side apply":  {balancer(applied(`{"f:metadata":{},"f:spec":{"f:allocateLoadBalancerNodePorts":{}}}`)), "red", false},
		"nothing is said, server-side apply": {balancer(applied(`{"f:spec":{"f:type":{}}}`)), "red", true},
	} {
		t.Run(name, func(t *testing.T) {
			world := newAllocationWorld(namespaceOf(tc.team), sparing, generous)
			a := world.replica(t, allocator.Advisory, twoPorts)
			if err := a.Index.ObservePools([]v1alpha1.PortPool{*sparing, *generous}, nil); err != nil {
				t.Fatal(err)
			}
			response := a.Handle(context.Background(), create(t, tc.service, "bob"))
			if !response.Allowed {
				t.Fatalf("response is %+v", response.Result)
			}
			if got := setsFalse(t, response); got != tc.want {
				t.Errorf("set to false: %v, want %v: %s", got, tc.want, response.Patch)
			}
			if tc.want && len(world.claims(t)) > 0 {
				t.Errorf("claimed %v for a load balancer without node ports", world.claims(t))
			}
		})
	}
}

func setsFalse(t *testing.T, response admission.Response) bool {
	t.Helper()
	if response.Patch == nil {
		return false
	}
	var patch []jsonPatch
	if err := json.Unmarshal(response.Patch, &patch); err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(patch, func(p jsonPatch) bool {
		return p.Path == "/spec/allocateLoadBalancerNodePorts" && p.Value == false
	})
}

// The claim of an earlier attempt may be deleted at any time, and then what holds
// the number comes back.
func TestAReservedNumberIsClaimedAnewByEachAttempt(t *testing.T) {
	old := allocator.ClaimLease("system", allocator.Claim{Number: allocator.PortNumber(30000), Service: types.NamespacedName{Namespace: "team", Name: "web"}}, "earlier")
	world := newAllocationWorld(old)
	a := world.replica(t, allocator.Advisory, twoPorts)
	a.Releaser = &releases{world: world, t: t}
	reserve(t, a, portReservation("30000", "team", "web"))
	claim, err := allocator.ClaimOfLease(old)
	if err != nil {
		t.Fatal(err)
	}
	claim.Created = a.Now()
	a.Index.Claim(claim) // young enough to be used again, were it another number
	if got := patched(t, a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 0)), "bob"))); got != 30000 {
		t.Errorf("given %v, want the reserved number", got)
	}
	var lease coordinationv1.Lease
	if err := world.client.Get(context.Background(), client.ObjectKeyFromObject(old), &lease); err != nil {
		t.Fatal(err)
	}
	if got := lease.Annotations[allocator.RequestAnnotation]; got != "request" {
		t.Errorf("the claim is that of request %q, want this one's", got)
	}
}

// holdEnds reads past the cache; whoever holds the number is done after the first look.
type holdEnds struct {
	client.Reader
	api client.Client
}

func (r holdEnds) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := r.Reader.Get(ctx, key, object, options...)
	if lease, ok := object.(*coordinationv1.Lease); ok && err == nil {
		return r.api.Delete(ctx, lease)
	}
	return err
}

func TestANumberThatIsJustBeingHeldIsWaitedFor(t *testing.T) {
	world := newAllocationWorld(allocator.ClaimLease("system", allocator.Claim{Number: allocator.PortNumber(30000)}, ""))
	a := world.replica(t, allocator.Advisory, twoPorts)
	a.Reader = holdEnds{a.Reader, world.client}
	releaser := &releases{world: world, t: t}
	a.Releaser = releaser
	reserve(t, a, portReservation("30000", "team", "web"))
	if got := patched(t, a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 0)), "bob"))); got != 30000 {
		t.Errorf("given %v, want the reserved number", got)
	}
	if diff := cmp.Diff([]string{"nodeport-30000"}, releaser.claims); diff != "" {
		t.Errorf("claims when it was let go of (-want +got):\n%s", diff)
	}
}
