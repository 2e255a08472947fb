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
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

func portPool(name string, priority int32, ranges ...v1alpha1.PortRange) *v1alpha1.PortPool {
	return &v1alpha1.PortPool{
		ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 7},
		Spec:       v1alpha1.PortPoolSpec{Ranges: ranges, Priority: priority},
	}
}

// portPoolIndex knows pools in a server's range of 30000-30099.
func portPoolIndex(t *testing.T, pools ...*v1alpha1.PortPool) *allocator.Services {
	t.Helper()
	index := allocator.NewServices(allocator.PortSpan{First: 30000, Last: 30099})
	var read []allocator.PortPool
	for _, pool := range pools {
		parsed, err := allocator.PortPoolOf(pool)
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, parsed)
	}
	index.SetPools(read, nil)
	index.SetReady()
	return index
}

// conditionText is status, reason and message.
func conditionText(conditions []metav1.Condition, kind string) string {
	c := meta.FindStatusCondition(conditions, kind)
	if c == nil {
		return "none"
	}
	return string(c.Status) + " " + c.Reason + " " + c.Message
}

func TestPortPoolsSayWhatBecameOfThem(t *testing.T) {
	pools := []*v1alpha1.PortPool{
		portPool("first", 9, "30000-30009"),
		portPool("second", 5, "30005-30019", "30050", "31000-31009"),
		portPool("far", 0, "40000-40009", "41000"),
		portPool("hidden", 0, "30001-30003"),
	}
	index := portPoolIndex(t, pools...)
	index.Observe(allocated("web", 1, "10.0.0.1", 30010))
	index.Reserve(allocator.Reservation{Number: allocator.PortNumber(30011), Service: teamWeb})
	index.Reserve(allocator.Reservation{Number: allocator.PortNumber(30010), Service: teamWeb})
	want := map[string][]string{
		"first":  {"True Ready its numbers can be given", "False NoOverlap no pool has precedence for any of its numbers"},
		"second": {"True PartlyOutOfRange its numbers can be given, but 31000-31009, outside of 30000-30099, never is", "True Overlaps 30005-30009 belongs to PortPool first, which has precedence"},
		"far":    {"False OutOfRange 40000-40009, 41000 is outside of 30000-30099 and never given", "False NoOverlap no pool has precedence for any of its numbers"},
		"hidden": {"False NothingLeft other pools have precedence for all its numbers: see the condition Conflicted", "True Overlaps 30001-30003 belongs to PortPool first, which has precedence"},
	}
	for _, view := range index.PortPools() {
		status := portPoolStatus(view, "30000-30099", v1alpha1.PortPoolStatus{}, 7, reservationTime)
		got := []string{conditionText(status.Conditions, "Ready"), conditionText(status.Conditions, "Conflicted")}
		if diff := cmp.Diff(want[view.Name], got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", view.Name, diff)
		}
		if view.Name == "second" {
			counts := [4]int32{status.Capacity, status.Allocated, status.Reserved, status.Free}
			if want := [4]int32{11, 1, 1, 9}; counts != want || status.ObservedGeneration != 7 {
				t.Errorf("capacity, allocated, reserved, free are %v, want %v; generation %d", counts, want, status.ObservedGeneration)
			}
		}
	}
}

func TestAddressPoolsCountBothFamilies(t *testing.T) {
	index := allocator.NewServices(allocator.DefaultNodePorts)
	if err := index.SetServiceCIDRs([]corev1.IPFamily{corev1.IPv4Protocol}, []allocator.ServiceCIDR{
		{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Ready: true}, {Prefix: netip.MustParsePrefix("fd00::/64"), Ready: true},
	}); err != nil {
		t.Fatal(err)
	}
	pool, err := allocator.AddrPoolOf(&v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: v1alpha1.AddressPoolSpec{
		Use: v1alpha1.UseClusterIP, Addresses: []v1alpha1.AddressRange{"10.0.0.16/28", "10.1.0.0/28", "fd00::/64"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	index.SetPools(nil, []allocator.AddrPool{pool})
	index.Observe(allocated("web", 1, "10.0.0.17", 30010))
	status := addressPoolStatus(index.AddrPools()[0], "every ServiceCIDR", v1alpha1.AddressPoolStatus{}, 1, reservationTime)
	if want := (v1alpha1.AddressCount{Capacity: 16, Allocated: 1, Free: 15}); status.IPv4 != want {
		t.Errorf("IPv4: %+v, want %+v", status.IPv4, want)
	}
	if status.IPv6.Capacity != math.MaxInt64 || status.IPv6.Free != math.MaxInt64 {
		t.Errorf("IPv6: %+v, want the largest number there is", status.IPv6)
	}
	if got := conditionText(status.Conditions, "Ready"); !strings.Contains(got, "but 10.1.0.0-10.1.0.15, fd00::, outside of every ServiceCIDR") {
		t.Errorf("Ready: %s", got)
	}
}

func TestLongListsAreCut(t *testing.T) {
	if got := enumerate(strings.Fields(strings.Repeat("x ", 10)), ", "); got != "x, x, x, x, x, x, x, x, and 2 more" {
		t.Errorf("got %q", got)
	}
}

// A stream of changes costs a look and at most a write in a second, and no change
// costs no write.
func TestPoolsAreWrittenOnChangeAndAtMostOnceInASecond(t *testing.T) {
	pool := portPool("a", 0, "30000-30009")
	index := portPoolIndex(t, pool)
	writes := 0
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(pool).WithStatusSubresource(pool).WithInterceptorFuncs(interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, object client.Object, options ...client.SubResourceUpdateOption) error {
			writes++
			return c.SubResource(sub).Update(ctx, object, options...)
		},
	}).Build()
	now := reservationTime
	clock := func() time.Time { return now }
	r := &portPoolReconciler{poolStatuses: &poolStatuses{client: c, index: index, now: clock}, pace: pace{now: clock}}
	look := func() ctrl.Result {
		t.Helper()
		result, err := r.Reconcile(context.Background(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "a"}})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	for i := range 10 { // a Service every 100 ms
		index.Observe(allocated(string(rune('a'+i)), 1, "10.0.0.1", 30000+int32(i)))
		look()
		now = now.Add(100 * time.Millisecond)
	}
	if writes != 1 {
		t.Errorf("%d writes in a second, want 1", writes)
	}
	if result := look(); writes != 2 || result.RequeueAfter != poolLook {
		t.Errorf("%d writes after a second, want 2; next look in %v", writes, result.RequeueAfter)
	}
	if result := look(); result.RequeueAfter != poolPace {
		t.Errorf("the next look is in %v, want %v", result.RequeueAfter, poolPace)
	}
	now = now.Add(time.Minute)
	if look(); writes != 2 {
		t.Errorf("%d writes although nothing changed", writes)
	}
	var stored v1alpha1.PortPool
	if err := c.Get(context.Background(), types.NamespacedName{Name: "a"}, &stored); err != nil || stored.Status.Allocated != 10 || stored.Status.Free != 0 {
		t.Errorf("stored: %+v, %v", stored.Status, err)
	}
}

// Counting costs time in proportion to all pools and Services, for one pool as for
// all, so that one look serves all.
func TestOneLookServesAllPools(t *testing.T) {
	pools := []*v1alpha1.PortPool{portPool("a", 0, "30000-30009"), portPool("b", 0, "30010-30019"), portPool("c", 0, "30020-30029")}
	index := portPoolIndex(t, pools[:2]...)
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(pools[0], pools[1], pools[2]).WithStatusSubresource(pools[0]).Build()
	clock := func() time.Time { return reservationTime }
	r := &portPoolReconciler{poolStatuses: &poolStatuses{client: c, index: index, now: clock}, pace: pace{now: clock}}
	result, err := r.Reconcile(context.Background(), ctrl.Request{})
	if err != nil || result.RequeueAfter != poolPace {
		t.Errorf("with a pool that the index does not know yet: back in %v, %v", result.RequeueAfter, err)
	}
	var list v1alpha1.PortPoolList
	if err := c.List(context.Background(), &list); err != nil {
		t.Fatal(err)
	}
	for _, pool := range list.Items {
		if want := map[string]int32{"a": 10, "b": 10}[pool.Name]; pool.Status.Capacity != want {
			t.Errorf("pool %s: capacity %d, want %d", pool.Name, pool.Status.Capacity, want)
		}
	}
	if result, err := r.Reconcile(context.Background(), ctrl.Request{}); err != nil || result.RequeueAfter != poolPace {
		t.Errorf("a second look at once: back in %v, %v", result.RequeueAfter, err)
	}
}
