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

package speaker

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/announce"
	"switchyard.dev/switchyard/internal/announce/claims"
	"switchyard.dev/switchyard/internal/announce/election"
	"switchyard.dev/switchyard/internal/announce/l2"
	"switchyard.dev/switchyard/internal/balancer"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/follow"
)

// Config is what a Speaker works with, all of it required but for Interfaces.
type Config struct {
	Node string
	// Client has a rate of its own: an address that moves must not wait for
	// others' requests.
	Client kubernetes.Interface
	// Namespace is where the Leases are.
	Namespace string
	Book      *claims.Book
	// State is that of the node's rules: it announces nothing before they are
	// there.
	State    *health.State
	Metrics  *health.Announcements
	Recorder record.EventRecorder
	// Interfaces are the names of those to answer on; none for those that have
	// the Node's addresses.
	Interfaces []string
}

const (
	// beat is how often time alone may change something.
	beat = 100 * time.Millisecond
	// retry is how long to wait after a renewal that failed.
	retry = 200 * time.Millisecond
	// farewell bounds how long a node that ends waits for others to take over.
	farewell = 3 * time.Second
	// lateNews bounds the news that wait for the loop.
	lateNews = 256
	// contest is how long after the last time a contest of an address is over.
	contest = time.Minute
)

// Speaker announces addresses at layer 2.
type Speaker struct {
	Config
	leases    leases
	responder *l2.Responder
	// news are applied to the elector by the loop.
	news chan func(now time.Time)

	elector   *election.Elector
	node      *corev1.Node
	leaving   bool
	answering []netip.Addr
	holders   map[netip.Addr][]balancer.Holder
	// places are where addresses can be reached, but for those that are barred here.
	places map[netip.Addr]announce.Place
	bars   bars
	barred map[netip.Addr]string
	// local are the addresses of this node's interfaces, and usedLocal those that
	// bars has.
	local     atomic.Pointer[map[netip.Addr]struct{}]
	usedLocal *map[netip.Addr]struct{}
	// contests are when others were last heard to announce an address.
	contests map[netip.Addr]time.Time
	log      logr.Logger
	// renewing is a renewal under way, renewed when the last one was sent.
	renewing bool
	renewed  time.Time
	// recorded says that the record says that this node is there.
	recorded bool
}

// New is a Speaker that does not speak yet.
func New(config Config) *Speaker {
	s := &Speaker{
		Config: config, elector: election.New(config.Node), news: make(chan func(time.Time), lateNews),
		leases: leases{LeaseInterface: config.Client.CoordinationV1().Leases(config.Namespace), namespace: config.Namespace, node: config.Node},
		bars:   bars{nodes: map[string][]netip.Addr{}, counted: map[netip.Addr]int{}},
		places: map[netip.Addr]announce.Place{}, barred: map[netip.Addr]string{},
		holders: map[netip.Addr][]balancer.Holder{}, contests: map[netip.Addr]time.Time{}, log: logr.Discard(),
	}
	s.leases.suspects = &suspects{read: s.leases.record, known: map[string]*suspect{}}
	return s
}

// Run announces until ctx ends, and gives away what it answers for then.
func (s *Speaker) Run(ctx context.Context) {
	s.log = log.FromContext(ctx)
	// What is under way at the end has to come to its end.
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var addrs nodeAddresses
	s.responder = l2.New(func() ([]l2.Interface, error) { return s.look(addrs.get()) }, s.hear)
	if !s.follow(ctx, working, &addrs) {
		return
	}
	_ = s.responder.Look(working) // Run says what is wrong; the loop has to know whether something is
	go s.responder.Run(working)
	s.loop(ctx, working)
}

// look finds the interfaces to answer on, and which addresses the kernel has.
func (s *Speaker) look(own []netip.Addr) ([]l2.Interface, error) {
	local, err := l2.LocalAddresses()
	if err != nil {
		return nil, err
	}
	if was := s.local.Load(); was == nil || !maps.Equal(*was, local) {
		s.local.Store(&local)
	}
	return l2.Interfaces(s.Interfaces, own)
}

// follow begins to follow everything and returns when it is known; false if ctx
// ends before.
func (s *Speaker) follow(ctx, working context.Context, addrs *nodeAddresses) bool {
	sources := []follow.Source{
		s.Book.Source(working),
		follow.New(s.Client, "announcing nodes", s.leases, metav1.ListOptions{LabelSelector: Label + "=" + byL2},
			func(lease *coordinationv1.Lease) { s.setRecord(working, lease) },
			func(_, name string) { s.dropRecord(working, name) }),
		follow.New(s.Client, "Nodes", s.Client.CoreV1().Nodes(), metav1.ListOptions{},
			func(node *corev1.Node) {
				if node.Name == s.Node {
					addrs.set(node)
				}
				s.tell(working, func(time.Time) { s.setNode(node.Name, node) })
			},
			func(_, name string) { s.tell(working, func(time.Time) { s.setNode(name, nil) }) }),
	}
	for _, source := range sources {
		go source.Run(working)
	}
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		full := s.State.Ready()
		for _, source := range sources {
			full = full && source.Full()
		}
		if full {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case change := <-s.news:
			change(time.Now())
		case <-ticker.C:
		}
	}
}

// tell hands something to the loop.
func (s *Speaker) tell(ctx context.Context, change func(now time.Time)) {
	select {
	case s.news <- change:
	case <-ctx.Done():
	}
}

// hear does not wait: who floods the network is heard once in a while.
func (s *Speaker) hear(addr netip.Addr, by net.HardwareAddr) {
	select {
	case s.news <- func(now time.Time) {
		s.Metrics.Contested(model.FamilyOf(addr))
		s.logContest(now, addr, by)
		s.elector.Heard(now, addr)
	}:
	default:
	}
}

// logContest says who announces an address of ours, once as long as it goes on.
func (s *Speaker) logContest(now time.Time, addr netip.Addr, by net.HardwareAddr) {
	level := 0
	if last, known := s.contests[addr]; known && now.Sub(last) < contest {
		level = 2
	}
	s.contests[addr] = now
	s.log.V(level).Info("Another machine announces an address that this node answers for", "address", addr.String(), "machine", by.String())
}

func (s *Speaker) setRecord(ctx context.Context, lease *coordinationv1.Lease) {
	if r, ok := recordOf(lease); ok {
		s.tell(ctx, func(now time.Time) { s.elector.SetRecord(now, r) })
	}
}

func (s *Speaker) dropRecord(ctx context.Context, name string) {
	if r, ok := recordOf(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}}); ok {
		s.tell(ctx, func(now time.Time) { s.elector.DropRecord(now, r.Node) })
	}
}

func (s *Speaker) loop(ctx, working context.Context) {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	ending := ctx.Done()
	var end <-chan time.Time
	for {
		s.act(working)
		if s.leaving && !s.elector.Speaking(time.Now()) {
			break
		}
		select {
		case <-ending:
			ending, s.leaving, end = nil, true, time.After(farewell)
			continue
		case <-end:
			log.FromContext(ctx).Info("Ending while this node still answers for addresses: nobody has taken them", "addresses", len(s.answering))
		case <-s.Book.Wake():
			s.take()
			continue
		case change := <-s.news:
			s.apply(change)
			continue
		case <-ticker.C:
			continue
		}
		break
	}
	s.responder.Set(nil)
	s.sayGone(working)
}

// apply applies all news that there are: what follows from them takes longer, and
// must not be done for each.
func (s *Speaker) apply(change func(now time.Time)) {
	change(time.Now())
	for range len(s.news) {
		(<-s.news)(time.Now())
	}
}

// take brings what has changed of addresses to the elector.
func (s *Speaker) take() {
	now := time.Now()
	for _, a := range s.Book.Take() {
		addr := a.Claim.Addr
		if a.Gone {
			s.elector.DropClaim(addr)
			delete(s.holders, addr)
			delete(s.places, addr)
			s.setBarred(addr, "")
			delete(s.contests, addr)
			continue
		}
		s.holders[addr] = a.Holders
		s.place(addr, announce.PlaceOf(a.Services))
		s.elector.SetClaim(now, a.Claim)
	}
}

// act does what follows from what is known.
func (s *Speaker) act(ctx context.Context) {
	now := time.Now()
	s.useLocal()
	open, healthy := s.responder.Open(), s.State.Healthy()
	s.elector.SetStanding(judge(s.node, s.leaving, open, healthy))
	s.Metrics.Mute(!open && judge(s.node, s.leaving, true, healthy) != announce.Unfit)
	for _, w := range s.elector.Next(now) {
		go s.write(ctx, w)
	}
	s.answer()
	for _, addr := range s.elector.Reminders(now) {
		s.responder.Remind(addr)
	}
	s.speak(ctx, now)
	ipv4, ipv6 := s.elector.Owned(now)
	s.Metrics.Owned(model.IPv4, ipv4)
	s.Metrics.Owned(model.IPv6, ipv6)
	s.responder.Alive(time.Now())
}

// judge is this node's own judgement: open says that it has an interface to answer on,
// healthy that its rules are what they should be.
func judge(node *corev1.Node, leaving, open, healthy bool) announce.Standing {
	standing, _ := announce.StandingOf(node)
	switch {
	case leaving || !open:
		return announce.Unfit
	case !healthy:
		return min(standing, announce.LastResort)
	}
	return standing
}

func (s *Speaker) write(ctx context.Context, w election.Write) {
	log := log.FromContext(ctx).WithValues("address", w.Addr.String(), "write", w.Kind.String())
	outcome, record, claim, err := s.leases.write(ctx, w)
	if err != nil {
		log.V(2).Info("Could not write who answers for an address", "reason", err.Error())
	}
	s.tell(ctx, func(now time.Time) {
		if record != nil {
			s.elector.SetRecord(now, *record)
		}
		version := uint64(0)
		if claim != nil {
			version = claim.Version
		}
		_, before := slices.BinarySearchFunc(s.answering, w.Addr, netip.Addr.Compare)
		announceIt := s.elector.Wrote(now, w, outcome, version)
		if claim != nil && outcome == election.Refused {
			s.elector.SetClaim(now, *claim)
		}
		if outcome == election.Written && w.Kind != election.Confirm {
			log.Info("Wrote who answers for an address", "node", w.Holder, "was", w.Suspect.Node)
		}
		if announceIt {
			s.begin(ctx, w.Addr, !before || w.Kind == election.Take)
		}
	})
}

// begin tells everybody on the network that an address is here, and if it is here
// anew, people, too.
func (s *Speaker) begin(ctx context.Context, addr netip.Addr, anew bool) {
	s.answer() // first: who hears it may ask at once
	s.responder.Announce(addr)
	s.Metrics.Announced(model.FamilyOf(addr))
	if !anew {
		return
	}
	log.FromContext(ctx).Info("Answering for an address", "address", addr.String())
	for _, h := range s.holders[addr] {
		s.Recorder.Eventf(reference(h), corev1.EventTypeNormal, "AddressAnnounced", "Node %s answers for %s", s.Node, addr)
	}
}

func reference(h balancer.Holder) *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "Service", Namespace: h.Service.Namespace, Name: h.Service.Name, UID: h.UID}
}

// answer brings the responder up to date.
func (s *Speaker) answer() {
	answering := s.elector.Answering()
	if slices.Equal(answering, s.answering) {
		return
	}
	s.answering = answering
	s.responder.Set(answering)
	for _, family := range []model.Family{model.IPv4, model.IPv6} {
		n := 0
		for _, addr := range answering {
			if model.FamilyOf(addr) == family {
				n++
			}
		}
		s.Metrics.Answering(family, n)
	}
}

// speak renews the record of a node that is needed, and says of one that is not
// that it is gone.
func (s *Speaker) speak(ctx context.Context, now time.Time) {
	speaking := s.elector.Speaking(now)
	if s.renewing || !speaking && !s.recorded || speaking && now.Sub(s.renewed) < election.Renew {
		return
	}
	s.renewing, s.recorded, s.renewed = true, true, now
	if !speaking {
		s.elector.Quit()
	}
	standing, l := s.elector.Standing(), s.leases
	if s.node != nil {
		l.owner = metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: s.node.Name, UID: s.node.UID}
	}
	go func() {
		sending, cancel := context.WithTimeout(ctx, renewPatience)
		defer cancel()
		err := l.renew(sending, standing, !speaking)
		if err != nil {
			log.FromContext(ctx).V(2).Info("Could not renew this node's record", "reason", err.Error())
		}
		s.tell(ctx, func(at time.Time) {
			s.renewing = false
			switch {
			case err != nil:
				s.renewed = at.Add(retry - election.Renew)
			case speaking:
				s.elector.Renewed(at, now)
			default:
				s.recorded = false
			}
		})
	}()
}

// sayGone is the last thing that a Speaker does.
func (s *Speaker) sayGone(ctx context.Context) {
	if !s.recorded {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, renewPatience)
	defer cancel()
	if err := s.leases.renew(ctx, announce.Unfit, true); err != nil {
		log.FromContext(ctx).Info("Others will have to find out that this node announces nothing any more", "reason", err.Error())
	}
}
