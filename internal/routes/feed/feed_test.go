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

package feed

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"switchyard.dev/switchyard/internal/announce"
	"switchyard.dev/switchyard/internal/announce/claims"
	"switchyard.dev/switchyard/internal/announce/election"
	"switchyard.dev/switchyard/internal/follow"
)

// fakeBook hands on what a test puts into it.
type fakeBook struct {
	full    atomic.Bool
	wake    chan struct{}
	changes chan claims.Address
}

func newBook() *fakeBook {
	return &fakeBook{wake: make(chan struct{}, 1), changes: make(chan claims.Address, 10)}
}

func (b *fakeBook) Source(context.Context) follow.Source {
	return follow.Source{Run: func(context.Context) {}, Full: b.full.Load}
}
func (b *fakeBook) Wake() <-chan struct{} { return b.wake }
func (b *fakeBook) Take() []claims.Address {
	var list []claims.Address
	for len(b.changes) > 0 {
		list = append(list, <-b.changes)
	}
	return list
}

func (b *fakeBook) put(a claims.Address) {
	b.changes <- a
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

const here, there = "here", "there"

func at(nodes ...string) announce.Service {
	s := announce.Service{Local: true, Nodes: map[string]struct{}{}}
	for _, n := range nodes {
		s.Nodes[n] = struct{}{}
	}
	return s
}

func address(text string, services ...announce.Service) claims.Address {
	return claims.Address{Claim: election.Claim{Addr: netip.MustParseAddr(text)}, Services: services}
}

func node(name string, ready corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}},
	}}
}

func TestWhatIsWantedFollowsAddressesAndNodes(t *testing.T) {
	client := fake.NewClientset(node(here, corev1.ConditionTrue), node(there, corev1.ConditionTrue))
	book := newBook()
	var ready atomic.Bool
	var asked atomic.Int32
	var last atomic.Value
	last.Store("nothing said")
	f := New(Config{
		Node: here, Client: client, Book: book, Ready: func() bool { asked.Add(1); return ready.Load() },
		Namespace: system, Healthy: func() bool { return true },
		Ranges: func() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")} },
		Announce: func(_ context.Context, list []netip.Prefix) {
			slices.SortFunc(list, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
			last.Store(fmt.Sprint(list))
		},
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	defer func() { stop(); <-done }()
	expect := func(when, want string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); last.Load() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %v, want %s", when, last.Load(), want)
			}
		}
	}
	update := func(n *corev1.Node) {
		t.Helper()
		if _, err := client.CoreV1().Nodes().Update(ctx, n, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	book.put(address("192.0.2.1", announce.Service{}))
	book.put(address("192.0.2.2", at(there)))
	book.full.Store(true)
	// When it asks for the rules, it knows Nodes and addresses.
	for end := time.Now().Add(time.Minute); asked.Load() < 3 && last.Load() == "nothing said" && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	expect("before the rules are written", "nothing said")
	ready.Store(true)
	expect("at first", "[10.96.0.0/12 192.0.2.1/32]")
	book.put(address("192.0.2.2", at(here, there)))
	expect("an endpoint is here, too", "[10.96.0.0/12 192.0.2.1/32 192.0.2.2/32]")
	book.put(address("fd00:99::1", announce.Service{}))
	book.put(address("192.0.2.1"))
	expect("no Service has the one, and there is another", "[10.96.0.0/12 192.0.2.2/32 fd00:99::1/128]")
	book.put(claims.Address{Claim: election.Claim{Addr: netip.MustParseAddr("192.0.2.2")}, Gone: true})
	expect("one is gone", "[10.96.0.0/12 fd00:99::1/128]")

	update(node(here, corev1.ConditionUnknown))
	expect("not ready, and others are", "[]")
	update(node(there, corev1.ConditionUnknown))
	expect("nobody is ready", "[10.96.0.0/12 fd00:99::1/128]")
	excluded := node(here, corev1.ConditionTrue)
	excluded.Labels = map[string]string{corev1.LabelNodeExcludeBalancers: ""}
	update(excluded)
	expect("excluded", "[]")
	update(node(here, corev1.ConditionTrue))
	expect("back", "[10.96.0.0/12 fd00:99::1/128]")
	if err := client.CoreV1().Nodes().Delete(ctx, here, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expect("deleted", "[]")
	stop()
	<-done
	if len(f.places) != 2 {
		t.Errorf("places of %d addresses are kept, and there are 2", len(f.places))
	}
}

// TestANodeMayWhereItIsACandidate compares with the order that layer 2 uses.
func TestANodeMayWhereItIsACandidate(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{here, there, "third", "fourth"}
	addr := netip.MustParseAddr("192.0.2.1")
	for range 5000 {
		f := New(Config{Node: here})
		var nodes []announce.Node
		for _, name := range names {
			standing := announce.Standing(random.IntN(3))
			f.setNode(name, standing)
			nodes = append(nodes, announce.Node{Name: name, Standing: standing})
		}
		var services []announce.Service
		for range random.IntN(3) {
			services = append(services, announce.Service{})
			if random.IntN(2) == 0 {
				services[len(services)-1] = at(names[:random.IntN(len(names)+1)]...)
			}
		}
		place := announce.PlaceOf(services)
		want := slices.Contains(announce.Candidates(addr, place, nodes), here)
		if got := f.may(place); got != want {
			t.Fatalf("%v with %v and %v, want %v", got, nodes, services, want)
		}
	}
}
