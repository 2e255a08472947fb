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
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/balancer"
)

func TestPoolsThatAreGoneStayForAWhile(t *testing.T) {
	seen := func(name string, uid types.UID, generation int64) poolSeen {
		return poolSeen{name: name, uid: uid, generation: generation, pool: allocator.AddrPool{Name: name}}
	}
	illegible := seen("a", "1", 2)
	illegible.err = errors.New("addresses: what is this")
	begin := time.Unix(1000, 0)
	shelf := poolShelf{}
	for _, step := range []struct {
		what    string
		after   time.Duration
		pools   []poolSeen
		changed bool
		wait    time.Duration
		err     bool
		all     string
	}{
		{what: "two come", pools: []poolSeen{seen("b", "2", 1), seen("a", "1", 1)}, changed: true, all: "a b"},
		{what: "a status is written", after: time.Second, pools: []poolSeen{seen("b", "2", 1), seen("a", "1", 1)}, all: "a b"},
		{what: "one goes", after: 2 * time.Second, pools: []poolSeen{seen("a", "1", 1)}, wait: 5 * time.Second, all: "a b"},
		{what: "one can not be read", after: 4 * time.Second, pools: []poolSeen{illegible}, wait: 3 * time.Second, err: true, all: "a b"},
		{what: "the first is made again", after: 6 * time.Second, pools: []poolSeen{illegible, seen("b", "3", 1)}, changed: true, err: true, all: "a b"},
		{what: "the other can still not be read", after: 9500 * time.Millisecond, pools: []poolSeen{illegible, seen("b", "3", 1)}, err: true, all: "a b"},
		{what: "both go", after: 10 * time.Second, wait: 5 * time.Second, all: "a b"},
		{what: "and one comes back", after: 14 * time.Second, pools: []poolSeen{seen("b", "4", 1)}, changed: true, wait: time.Second, all: "a b"},
		{what: "and the other does not", after: 15 * time.Second, pools: []poolSeen{seen("b", "4", 1)}, changed: true, all: "b"},
		{what: "a spec changes", after: 16 * time.Second, pools: []poolSeen{seen("b", "4", 2)}, changed: true, all: "b"},
	} {
		changed, wait, err := shelf.observe(step.pools, begin.Add(step.after), 5*time.Second)
		var names []string
		for _, pool := range shelf.all() {
			names = append(names, pool.Name)
		}
		if changed != step.changed || wait != step.wait || (err != nil) != step.err || strings.Join(names, " ") != step.all {
			t.Errorf("%s: changed %t, wait %v, %v, %v; want %t, %v, %t, %s", step.what, changed, wait, err, names, step.changed, step.wait, step.err, step.all)
		}
	}
}

func TestLoadBalancerEvents(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	sight := func(status metav1.ConditionStatus, reason string) balancer.Sight {
		return balancer.Sight{Condition: &metav1.Condition{Status: status, Reason: reason, Message: "m"}}
	}
	assigned, pending := sight(metav1.ConditionTrue, "AddressAssigned"), sight(metav1.ConditionFalse, "PoolExhausted")
	for name, tc := range map[string]struct {
		before, after balancer.Sight
		lost          []balancer.Loss
		gained        bool
		want          []eventOf
	}{
		"an address":             {after: assigned, gained: true, want: []eventOf{{corev1.EventTypeNormal, "AddressAssigned", "m"}}},
		"nothing new":            {before: assigned, after: assigned},
		"it begins to wait":      {after: pending, want: []eventOf{{corev1.EventTypeWarning, "PoolExhausted", "m"}}},
		"it waits as before":     {before: pending, after: pending},
		"it waits for something": {before: pending, after: sight(metav1.ConditionFalse, "NoPool"), want: []eventOf{{corev1.EventTypeWarning, "NoPool", "m"}}},
		"it is being claimed":    {after: sight(metav1.ConditionFalse, string(balancer.ReasonClaiming))},
		"another one in place of one that its pool has lost": {before: assigned, after: assigned, gained: true, lost: []balancer.Loss{{Addr: addr, Reason: balancer.LossPool, Message: "gone"}},
			want: []eventOf{{corev1.EventTypeWarning, "AddressNotInPool", "gone"}, {corev1.EventTypeNormal, "AddressAssigned", "m"}}},
		"no longer ours": {before: assigned, lost: []balancer.Loss{{Addr: addr, Reason: balancer.LossUnserved, Message: "gone"}},
			want: []eventOf{{corev1.EventTypeNormal, "AddressReleased", "gone"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := loadBalancerEvents(tc.before, tc.after, tc.lost, tc.gained)
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(eventOf{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
