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
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"switchyard.dev/switchyard/internal/announce"
	"switchyard.dev/switchyard/internal/announce/claims"
	"switchyard.dev/switchyard/internal/follow"
)

// Book knows the addresses and what changes about them; claims.Book is one.
type Book interface {
	Source(ctx context.Context) follow.Source
	Wake() <-chan struct{}
	Take() []claims.Address
}

// Config is what a Feed works with.
type Config struct {
	// Node is the name of this node.
	Node   string
	Client kubernetes.Interface
	Book   Book
	// Namespace is where the Leases are.
	Namespace string
	// Ready says that the rules of this node have been written once. It stays true.
	// Healthy says that they are what they should be.
	Ready, Healthy func() bool
	// Ranges are announced as well, from wherever an address without policy Local
	// is: the ranges of ClusterIPs. May be nil.
	Ranges func() []netip.Prefix
	// Announce takes all that is wanted.
	Announce func(context.Context, []netip.Prefix)
}

// Feed is the state of what is wanted.
type Feed struct {
	Config
	// awake says that a Node has changed.
	awake chan struct{}

	settle, pulse time.Duration

	mu    sync.Mutex
	nodes map[string]announce.Standing
	// behind are the nodes that say that their rules are, with the time when it
	// became known here; back is whether this one steps back for that.
	behind map[string]time.Time
	back   bool
	// uid is that of this Node.
	uid types.UID

	// places is of Run only.
	places map[netip.Addr]announce.Place
}

// New is a Feed that has not begun.
func New(c Config) *Feed {
	return &Feed{
		Config: c, awake: make(chan struct{}, 1), settle: settle, pulse: pulse,
		nodes: map[string]announce.Standing{}, behind: map[string]time.Time{}, places: map[netip.Addr]announce.Place{},
	}
}

const (
	// look is how often to see whether what Run waits for is there.
	look = 50 * time.Millisecond
	// review is how often to look at Ranges, which change once in a cluster's life.
	review = 10 * time.Second
)

// Run hands on what is wanted until ctx ends.
func (f *Feed) Run(ctx context.Context) {
	sources := []follow.Source{f.Book.Source(ctx), f.followNodes(), f.followBehind()}
	for _, s := range sources {
		go s.Run(ctx)
	}
	empty := func(s follow.Source) bool { return !s.Full() }
	for slices.ContainsFunc(sources, empty) || !f.Ready() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(look):
		}
	}
	go f.watchSelf(ctx)
	again := time.NewTicker(review)
	defer again.Stop()
	for {
		f.take(f.Book.Take())
		f.Announce(ctx, f.wanted())
		select {
		case <-ctx.Done():
			return
		case <-f.Book.Wake():
		case <-f.awake:
		case <-again.C:
		}
	}
}

// followNodes follows all Nodes: whether this one is the last resort depends on
// the others.
func (f *Feed) followNodes() follow.Source {
	return follow.New(f.Client, "Nodes", f.Client.CoreV1().Nodes(), metav1.ListOptions{},
		func(node *corev1.Node) {
			standing, _ := announce.StandingOf(node)
			f.setNode(node.Name, standing)
			f.learnSelf(node)
		},
		func(_, name string) { f.setNode(name, announce.Unfit) })
}

// setNode takes a Node's standing. One that does not exist is Unfit.
func (f *Feed) setNode(name string, standing announce.Standing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.nodes[name] == standing {
		return
	}
	f.nodes[name] = standing
	if standing == announce.Unfit {
		delete(f.nodes, name)
	}
	f.awaken()
}

func (f *Feed) learnSelf(node *corev1.Node) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if node.Name == f.Node {
		f.uid = node.UID
	}
}

// awaken has Run look at everything.
func (f *Feed) awaken() {
	select {
	case f.awake <- struct{}{}:
	default:
	}
}

func (f *Feed) take(changed []claims.Address) {
	for _, a := range changed {
		if a.Gone {
			delete(f.places, a.Claim.Addr)
		} else {
			f.places[a.Claim.Addr] = announce.PlaceOf(a.Services)
		}
	}
}

// anywhere is the place of what every node serves.
var anywhere = announce.PlaceOf([]announce.Service{{}})

func (f *Feed) wanted() []netip.Prefix {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []netip.Prefix
	for addr, place := range f.places {
		if f.may(place) {
			list = append(list, netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	if f.Ranges != nil && f.may(anywhere) {
		list = append(list, f.Ranges()...)
	}
	return list
}

// may says whether this node is one of announce.Candidates, without asking for
// their order.
func (f *Feed) may(place announce.Place) bool {
	standing := f.nodes[f.Node]
	if standing == announce.Unfit || !place.Has(f.Node) {
		return false
	}
	if standing == announce.Fit && !f.back {
		return true
	}
	for name, other := range f.nodes {
		_, behind := f.behind[name]
		if name != f.Node && other == announce.Fit && !behind && place.Has(name) {
			return false
		}
	}
	return true
}
