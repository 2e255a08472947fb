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

package l2

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	// times and between are how often a new place of an address is announced:
	// switches and clients may miss one.
	times   = 5
	between = 500 * time.Millisecond
	// look is how often the interfaces are looked at.
	look = 2 * time.Second
	// stalled is how long after the last Alive nothing is answered any more, and
	// catchUp how long after the next one: what waited in the sockets was
	// meant for who was here then, and says further back who is here now.
	stalled = time.Second
	catchUp = 500 * time.Millisecond
)

// errNoInterface is that of a Responder that can answer nobody.
var errNoInterface = errors.New("no interface to answer on: none that is up has one of the names given, or else an InternalIP of the Node")

// Responder answers on a set of interfaces. It is safe for concurrent use.
type Responder struct {
	// choose says which interfaces to answer on.
	choose func() ([]Interface, error)
	// heard is told of addresses that others claim, and by which link address.
	heard func(addr netip.Addr, by net.HardwareAddr)
	held  atomic.Pointer[holdings]
	life  atomic.Pointer[life]
	again chan struct{}
	// later is time.AfterFunc.
	later func(time.Duration, func())
	// open says that there are ports.
	open atomic.Bool

	mu     sync.Mutex
	ports  map[int]*port
	bursts map[netip.Addr]int
}

// New answers for nothing. heard is called for each frame by which another machine
// claims an address that is held; it does not block.
func New(choose func() ([]Interface, error), heard func(addr netip.Addr, by net.HardwareAddr)) *Responder {
	r := &Responder{
		choose: choose, heard: heard, again: make(chan struct{}, 1), ports: map[int]*port{}, bursts: map[netip.Addr]int{},
		later: func(d time.Duration, do func()) { time.AfterFunc(d, do) },
	}
	r.held.Store(&holdings{})
	r.life.Store(&life{})
	return r
}

// life is when there was somebody who knows what to answer for.
type life struct{ last, quietUntil time.Time }

// Alive says that what to answer for is what it should be. It is for one caller,
// often: who is stopped for a while has to find out first whose the addresses are.
func (r *Responder) Alive(now time.Time) {
	was := r.life.Load()
	l := &life{now, was.quietUntil}
	if !was.last.IsZero() && now.Sub(was.last) > stalled {
		l.quietUntil = now.Add(catchUp)
	}
	r.life.Store(l)
}

// Open says whether there is an interface to answer on.
func (r *Responder) Open() bool { return r.open.Load() }

// Set makes addrs the addresses to answer for. What the kernel refuses of it is
// tried again by Run, which says so.
func (r *Responder) Set(addrs []netip.Addr) {
	set := map[netip.Addr]struct{}{}
	for _, a := range addrs {
		set[a] = struct{}{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held.Store(&holdings{addrs: set, macs: r.held.Load().macs})
	for _, p := range r.ports {
		_ = p.listen(set)
	}
}

// Announce tells everybody that an address is here, five times within two seconds,
// as long as it is.
func (r *Responder) Announce(addr netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.say(addr, slices.Collect(maps.Values(r.ports))...)
	running := len(r.bursts) > 0
	if r.bursts[addr] = times - 1; !running {
		r.later(between, r.sayAgain)
	}
}

// Remind tells everybody once that an address is here.
func (r *Responder) Remind(addr netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held.Load().has(addr) {
		r.say(addr, slices.Collect(maps.Values(r.ports))...)
	}
}

func (r *Responder) sayAgain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := r.held.Load()
	for addr := range r.bursts {
		if held.has(addr) {
			r.say(addr, slices.Collect(maps.Values(r.ports))...)
		}
		if r.bursts[addr]--; r.bursts[addr] <= 0 || !held.has(addr) {
			delete(r.bursts, addr)
		}
	}
	if len(r.bursts) > 0 {
		r.later(between, r.sayAgain)
	}
}

// say sends what can be sent: it is said again, and who misses it asks.
func (r *Responder) say(addr netip.Addr, ports ...*port) {
	for _, p := range ports {
		if addr.Is6() {
			_ = p.send(unsolicited(p.mac, p.source(addr), addr))
			continue
		}
		for _, frame := range gratuitousARP(p.mac, addr) {
			_ = p.send(frame)
		}
	}
}

// Run answers until ctx ends. It goes on through failures.
func (r *Responder) Run(ctx context.Context) {
	log := log.FromContext(ctx)
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	defer func() { _ = r.use(ctx, nil) }() // closes all, and opens none
	said := ""
	for {
		err := r.Look(ctx)
		switch {
		case err != nil && err.Error() != said:
			said = err.Error()
			log.Error(err, "Not all interfaces answer for load-balancer addresses, will try again")
		case err == nil:
			said = ""
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-r.again:
		}
	}
}

// Look opens the interfaces that there are, as Run does again and again.
func (r *Responder) Look(ctx context.Context) error {
	chosen, err := r.choose()
	if err != nil {
		return err
	}
	return r.use(ctx, chosen)
}

// use makes chosen the interfaces to answer on. One that is new, or has changed,
// announces what is held.
func (r *Responder) use(ctx context.Context, chosen []Interface) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := r.held.Load()
	defer func() { r.open.Store(len(r.ports) > 0) }()
	var errs []error
	if len(chosen) == 0 {
		errs = append(errs, errNoInterface)
	}
	for index, p := range r.ports {
		if !slices.ContainsFunc(chosen, p.is) {
			p.close()
			delete(r.ports, index)
			continue
		}
		errs = append(errs, p.listen(held.addrs))
	}
	var opened []*port
	for _, i := range chosen {
		if r.ports[i.Index] != nil {
			continue
		}
		p, err := openPort(i)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		r.ports[i.Index] = p
		opened = append(opened, p)
		errs = append(errs, p.listen(held.addrs))
	}
	if len(opened) > 0 {
		macs := map[mac]struct{}{}
		for _, p := range r.ports {
			macs[p.mac] = struct{}{}
		}
		r.held.Store(&holdings{addrs: held.addrs, macs: macs})
	}
	for _, p := range opened {
		log.FromContext(ctx).Info("Answering for load-balancer addresses", "interface", p.name)
		for _, raw := range p.raw {
			go func() { r.ended(p, p.read(raw, func(frame []byte) { r.take(p, frame) })) }()
		}
		for addr := range held.addrs {
			r.say(addr, p)
		}
	}
	return errors.Join(errs...)
}

// is says whether the port is that interface, as it is now.
func (p *port) is(i Interface) bool {
	return p.index == i.Index && p.name == i.Name && p.card == card{i.mac, i.linkLocal} && !p.broken.Load()
}

// ended looks at the interfaces anew after a socket has failed.
func (r *Responder) ended(p *port, err error) {
	if errors.Is(err, os.ErrClosed) {
		return
	}
	p.broken.Store(true)
	select {
	case r.again <- struct{}{}:
	default:
	}
}

func (r *Responder) take(p *port, frame []byte) {
	reply, claimed := r.react(time.Now(), p.card, frame)
	if reply != nil {
		_ = p.send(reply) // who misses it asks again
	}
	if claimed.IsValid() {
		r.heard(claimed, slices.Clone(frame[6:12]))
	}
}

// react answers nothing while nobody knows what to answer for; it hears even then.
func (r *Responder) react(now time.Time, on card, frame []byte) (reply []byte, claimed netip.Addr) {
	reply, claimed = r.held.Load().answer(on, frame)
	if l := r.life.Load(); now.Sub(l.last) > stalled || now.Before(l.quietUntil) {
		reply = nil
	}
	return reply, claimed
}
