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
	"context"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/placeholder"
)

// newFeed feeds an empty index from a fake API server.
func newFeed(t *testing.T, objects ...client.Object) (*allocationFeed, client.Client) {
	t.Helper()
	scheme := runtime.NewScheme()
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	return &allocationFeed{index: allocator.NewServices(allocator.DefaultNodePorts), reader: api, now: time.Now}, api
}

func TestAPoolThatCanNotBeReadStaysAsItWas(t *testing.T) {
	ctx := context.Background()
	pool := &v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: "red"}, Spec: v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30100-30199"}}}
	feed, api := newFeed(t, pool)
	feed.observePools(ctx)
	pool.Spec.Ranges = []v1alpha1.PortRange{"nonsense"}
	other := &v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: "blue"}, Spec: v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30200"}}}
	for _, err := range []error{api.Update(ctx, pool), api.Create(ctx, other)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	feed.observePools(ctx)
	for port, want := range map[int32]string{30150: "red", 30200: "blue"} {
		if got, _ := feed.index.PortPoolOf(port); got.Name != want {
			t.Errorf("port %d is of pool %q, want %s", port, got.Name, want)
		}
	}
	if err := api.Delete(ctx, pool); err != nil {
		t.Fatal(err)
	}
	feed.observePools(ctx)
	if got, ok := feed.index.PortPoolOf(30150); ok {
		t.Errorf("pool %s is deleted and still there", got.Name)
	}
}

func TestReservationsAreFollowed(t *testing.T) {
	feed, _ := newFeed(t)
	handler := feed.onReservation(context.Background())
	number := allocator.PortNumber(30080)
	reservation := func(service string) *v1alpha1.PortReservation {
		return &v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: "30080"}, Spec: v1alpha1.PortReservationSpec{
			ServiceRef: &v1alpha1.ServiceReference{Namespace: "team", Name: service},
		}}
	}
	reservedFor := func(want string, after string) {
		t.Helper()
		if got, _ := feed.index.ReservationOf(number); got.Service.Name != want {
			t.Errorf("after %s 30080 is reserved for %q, want %q", after, got.Service.Name, want)
		}
	}
	handler.OnAdd(reservation("web"), true)
	reservedFor("web", "create")
	handler.OnUpdate(reservation("web"), reservation("db"))
	reservedFor("db", "update")
	handler.OnUpdate(reservation("db"), reservation("")) // it can not be read
	reservedFor("db", "an update that makes no sense")
	handler.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "30080", Obj: reservation("")})
	reservedFor("", "delete")

	address := &v1alpha1.AddressReservation{
		ObjectMeta: metav1.ObjectMeta{Name: "fd00-0000-0000-0000-0000-0000-0000-0007"}, Spec: v1alpha1.AddressReservationSpec{Address: "fd00::7"},
	}
	handler.OnAdd(address, true)
	handler.OnDelete(address)
	if left := feed.index.Reservations(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAClaimThatWasMadeAgainOutlivesTheEndOfTheFirst(t *testing.T) {
	feed, _ := newFeed(t)
	handler := feed.onClaim()
	number := allocator.PortNumber(30080)
	lease := func(uid types.UID, service string) *coordinationv1.Lease {
		lease := allocator.ClaimLease("system", allocator.Claim{Number: number, Service: types.NamespacedName{Namespace: "team", Name: service}}, "request")
		lease.UID = uid
		return lease
	}
	handler.OnAdd(lease("1", "web"), true)
	made := allocator.Claim{Number: number, UID: "2", Created: time.Now()} // by the webhook of this replica
	feed.index.Claim(made)
	handler.OnDelete(lease("1", "web"))
	if !feed.index.Claimed(number) {
		t.Error("the end of the first claim ended the second")
	}
	handler.OnUpdate(lease("1", "web"), lease("3", "db")) // deleted and made again between two lists
	handler.OnDelete(lease("2", "web"))
	if !feed.index.Claimed(number) {
		t.Error("an update was not taken in")
	}
	handler.OnDelete(lease("3", "db"))
	if feed.index.Claimed(number) {
		t.Error("the claim is deleted and still counts")
	}
}

func TestPlaceholdersAreNoHolders(t *testing.T) {
	index := allocator.NewServices(allocator.DefaultNodePorts)
	r := &AllocationReconciler{Index: index, Namespace: "system"}
	index.SetPlaceholders(r.isPlaceholder)
	for namespace, want := range map[string]int{"system": 0, "team": 1} { // a tenant can not hide what it holds
		service := placeholder.Ports(namespace, 30080)
		service.UID = types.UID(namespace)
		index.Observe(service)
		if got := len(index.Holders(allocator.PortNumber(30080))); got != want {
			t.Errorf("in namespace %s: %d holders, want %d", namespace, got, want)
		}
		index.Forget(client.ObjectKeyFromObject(service), service.UID)
	}
}
