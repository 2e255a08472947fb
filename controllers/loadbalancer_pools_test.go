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
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
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
		all     string
	}{
		{what: "two come", pools: []poolSeen{seen("b", "2", 1), seen("a", "1", 1)}, changed: true, all: "a b"},
		{what: "a status is written", after: time.Second, pools: []poolSeen{seen("b", "2", 1), seen("a", "1", 1)}, all: "a b"},
		{what: "one goes", after: 2 * time.Second, pools: []poolSeen{seen("a", "1", 1)}, wait: 5 * time.Second, all: "a b"},
		{what: "one can not be read", after: 4 * time.Second, pools: []poolSeen{illegible}, wait: 3 * time.Second, all: "a b"},
		{what: "the first is made again", after: 6 * time.Second, pools: []poolSeen{illegible, seen("b", "3", 1)}, changed: true, all: "a b"},
		{what: "the other can still not be read", after: 9500 * time.Millisecond, pools: []poolSeen{illegible, seen("b", "3", 1)}, all: "a b"},
		{what: "both go", after: 10 * time.Second, wait: 5 * time.Second, all: "a b"},
		{what: "and one comes back", after: 14 * time.Second, pools: []poolSeen{seen("b", "4", 1)}, changed: true, wait: time.Second, all: "a b"},
		{what: "and the other does not", after: 15 * time.Second, pools: []poolSeen{seen("b", "4", 1)}, changed: true, all: "b"},
		{what: "a spec changes", after: 16 * time.Second, pools: []poolSeen{seen("b", "4", 2)}, changed: true, all: "b"},
	} {
		changed, wait := shelf.observe(step.pools, begin.Add(step.after), 5*time.Second)
		var names []string
		for _, pool := range shelf.all() {
			names = append(names, pool.Name)
		}
		if changed != step.changed || wait != step.wait || strings.Join(names, " ") != step.all {
			t.Errorf("%s: changed %t, wait %v, %v; want %t, %v, %s", step.what, changed, wait, names, step.changed, step.wait, step.all)
		}
	}
}

func TestAPoolThatCouldNeverBeReadGivesNothing(t *testing.T) {
	broken := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: metav1.LabelSelectorOpIn}}}
	object := v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "1", Generation: 1}, Spec: v1alpha1.AddressPoolSpec{
		Use: v1alpha1.UseLoadBalancer, Addresses: []v1alpha1.AddressRange{"192.0.2.1"}, NamespaceSelector: broken,
	}}
	shelf := poolShelf{}
	look := func() string {
		seen := poolsSeen([]v1alpha1.AddressPool{object})
		changed, _ := shelf.observe(seen, time.Unix(1000, 0), time.Second)
		pool := shelf.all()[0]
		return fmt.Sprintf("changed %t, told %t, disabled %t, selects %t, %v", changed,
			shelf.isNewlyIllegible(&seen[0]), pool.Disabled, pool.Selects(nil, nil), pool.Ranges[0].First)
	}
	for _, step := range []struct {
		what string
		edit func(*v1alpha1.AddressPoolSpec)
		want string
	}{
		{"at first", nil, "changed true, told true, disabled true, selects true, 192.0.2.1"},
		{"again", nil, "changed false, told false, disabled true, selects true, 192.0.2.1"},
		{"another mistake", func(s *v1alpha1.AddressPoolSpec) { s.Addresses[0] = "192.0.2.2" },
			"changed true, told true, disabled true, selects true, 192.0.2.2"},
		{"mended", func(s *v1alpha1.AddressPoolSpec) { broken.MatchExpressions[0].Operator = metav1.LabelSelectorOpExists },
			"changed true, told false, disabled false, selects false, 192.0.2.2"},
		{"broken again", func(s *v1alpha1.AddressPoolSpec) {
			broken.MatchExpressions[0].Operator, s.Addresses[0] = metav1.LabelSelectorOpIn, "192.0.2.3"
		}, "changed false, told true, disabled false, selects false, 192.0.2.2"},
	} {
		if step.edit != nil {
			step.edit(&object.Spec)
			object.Generation++
		}
		if got := look(); got != step.want {
			t.Errorf("%s:\n got: %s\nwant: %s", step.what, got, step.want)
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

func TestAddressesOfAPoolThatWentBeforeTheStartStayForAWhile(t *testing.T) {
	now := time.Unix(1000, 0)
	pool := allocator.AddrPool{Name: "a", Use: v1alpha1.UseLoadBalancer, Ranges: []allocator.AddrSpan{allocator.SpanOfPrefix(netip.MustParsePrefix("192.0.2.0/24"))}}
	seen := []poolSeen{{name: "a", uid: "1", generation: 1, pool: pool}}
	shelf := poolShelf{}
	shelf.observe(seen, now, time.Second)
	if shelf.keepForAWhile([]netip.Addr{netip.MustParseAddr("192.0.2.7")}, now) || len(shelf) != 1 {
		t.Error("what is in a pool is kept for a while")
	}
	gone := netip.MustParseAddr("198.51.100.7")
	if !shelf.keepForAWhile([]netip.Addr{gone, netip.MustParseAddr("2001:db8::7")}, now) {
		t.Error("what is in no pool is not kept")
	}
	owner := func() string {
		set := allocator.NewAddrPoolSet(v1alpha1.UseLoadBalancer, shelf.all())
		i, owned := set.OwnerOf(gone)
		if !owned {
			return "nobody"
		}
		return fmt.Sprintf("%q, disabled %t, selects %t", set.Pool(i).Name, set.Pool(i).Disabled, set.Pool(i).Selects(nil, nil))
	}
	if got := owner(); got != `"", disabled true, selects true` {
		t.Errorf("it is %s's", got)
	}
	again := pool
	again.Name, again.Created, again.Ranges = "b", now.Add(time.Hour), []allocator.AddrSpan{{First: gone, Last: gone}}
	shelf.observe(append(seen, poolSeen{name: "b", uid: "2", generation: 1, pool: again}), now, time.Second)
	if got := owner(); got != `"b", disabled false, selects true` {
		t.Errorf("when its pool comes back, it is %s's", got)
	}
	if changed, _ := shelf.observe(seen, now.Add(time.Second), time.Second); !changed || shelf[""] != nil {
		t.Error("it stays for ever")
	}
}
