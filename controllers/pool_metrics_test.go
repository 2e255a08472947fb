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
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// served fails the test unless these are all the numbers of pools that are served.
func served(t *testing.T, when string, samples ...string) {
	t.Helper()
	text := "# HELP switchyard_pool_numbers Numbers of a pool, by what they are for and by state (allocated, reserved, and free or disabled); " +
		"the states add up to its capacity.\n# TYPE switchyard_pool_numbers gauge\n"
	if len(samples) == 0 {
		text = ""
	}
	for _, s := range samples {
		text += "switchyard_pool_numbers" + s + "\n"
	}
	if err := testutil.CollectAndCompare(poolNumbers, strings.NewReader(text), "switchyard_pool_numbers"); err != nil {
		t.Errorf("%s: %v", when, err)
	}
}

func TestALookAtPoolsIsMeasured(t *testing.T) {
	t.Cleanup(func() { poolNumbers.takePorts(nil); poolNumbers.takeAddresses(nil) })
	pool := portPool("team", 0, "30000-30009")
	index := portPoolIndex(t, pool)
	index.Observe(allocated("web", 1, "10.0.0.1", 30000))
	index.Reserve(allocator.Reservation{Number: allocator.PortNumber(30001), Service: teamWeb})
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(pool).WithStatusSubresource(pool).Build()
	clock := func() time.Time { return reservationTime }
	look := func() {
		t.Helper()
		r := &portPoolReconciler{poolStatuses: &poolStatuses{client: c, index: index, now: clock}, pace: pace{now: clock}}
		if _, err := r.Reconcile(t.Context(), ctrl.Request{}); err != nil {
			t.Fatal(err)
		}
	}
	look()
	served(t, "with a pool",
		`{family="",pool="team",state="allocated",use="NodePort"} 1`,
		`{family="",pool="team",state="free",use="NodePort"} 8`,
		`{family="",pool="team",state="reserved",use="NodePort"} 1`)
	if err := c.Delete(t.Context(), pool); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	look()
	served(t, "when the last pool is gone")
}

func TestFamiliesOfPoolsAreMeasured(t *testing.T) {
	c := &poolCollector{}
	view := func(name string, v4, v6 uint64) allocator.AddrPoolView {
		return allocator.AddrPoolView{
			AddrPool: allocator.AddrPool{Name: name, Use: v1alpha1.UseLoadBalancer},
			IPv4:     allocator.PoolCount{Capacity: v4, Free: v4}, IPv6: allocator.PoolCount{Capacity: v6, Free: v6},
		}
	}
	c.takeAddresses([]allocator.AddrPoolView{view("both", 4, 8), view("one", 4, 0)})
	if got := testutil.CollectAndCount(c, "switchyard_pool_numbers"); got != 3*3 {
		t.Errorf("%d series of two families and one, in three states", got)
	}
	var many []allocator.AddrPoolView
	for i := range mostPools + 1 {
		many = append(many, view(fmt.Sprint(i), 4, 0))
	}
	c.takeAddresses(many)
	if got := testutil.CollectAndCount(c, "switchyard_pool_numbers"); got != 3*mostPools {
		t.Errorf("%d series of %d pools, want those of %d", got, len(many), mostPools)
	}
}

func TestADisabledPoolHasNothingFree(t *testing.T) {
	c := &poolCollector{}
	c.takeAddresses([]allocator.AddrPoolView{{
		AddrPool: allocator.AddrPool{Name: "old", Use: v1alpha1.UseLoadBalancer, Disabled: true},
		IPv4:     allocator.PoolCount{Capacity: 4, Allocated: 3, Free: 1},
	}})
	const want = `
# HELP switchyard_pool_numbers Numbers of a pool, by what they are for and by state (allocated, reserved, and free or disabled); the states add up to its capacity.
# TYPE switchyard_pool_numbers gauge
switchyard_pool_numbers{family="ipv4",pool="old",state="allocated",use="LoadBalancer"} 3
switchyard_pool_numbers{family="ipv4",pool="old",state="disabled",use="LoadBalancer"} 1
switchyard_pool_numbers{family="ipv4",pool="old",state="reserved",use="LoadBalancer"} 0
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "switchyard_pool_numbers"); err != nil {
		t.Error(err)
	}
}

func TestPoolsWithoutSeriesAreCounted(t *testing.T) {
	c := &poolCollector{}
	c.takeAddresses(make([]allocator.AddrPoolView, mostPools+2))
	const want = `
# HELP switchyard_pools_uncounted Pools that have no switchyard_pool_numbers, as there are 500 of the kind before them by name.
# TYPE switchyard_pools_uncounted gauge
switchyard_pools_uncounted{kind="AddressPool"} 2
switchyard_pools_uncounted{kind="PortPool"} 0
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "switchyard_pools_uncounted"); err != nil {
		t.Error(err)
	}
}
