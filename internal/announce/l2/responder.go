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
)

// Responder answers on a set of interfaces. It is safe for concurrent use.
type Responder struct {
	// choose says which interfaces to answer on.
	choose func() ([]Interface, error)
	// heard is told of addresses that others claim.
	heard func(netip.Addr)
	held  atomic.Pointer[holdings]
	again chan struct{}

	mu     sync.Mutex
	ports  map[int]*port
	bursts map[netip.Addr]int
}

// New answers for nothing. heard is called for each frame by which another machine
// claims an address that is held; it does not block.
func New(choose func() ([]Interface, error), heard func(netip.Addr)) *Responder {
	r := &Responder{choose: choose, heard: heard, again: make(chan struct{}, 1), ports: map[int]*port{}, bursts: map[netip.Addr]int{}}
	r.held.Store(&holdings{})
	return r
}

// Set makes addrs the addresses to answer for.
func (r *Responder) Set(addrs []netip.Addr) error {
	set := map[netip.Addr]struct{}{}
	for _, a := range addrs {
		set[a] = struct{}{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held.Store(&holdings{addrs: set, macs: r.held.Load().macs})
	var errs []error
	for _, p := range r.ports {
		errs = append(errs, p.listen(set))
	}
	return errors.Join(errs...)
}

// Announce tells everybody that an address is here, five times within two seconds,
// as long as it is.
func (r *Responder) Announce(addr netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.say(addr, slices.Collect(maps.Values(r.ports))...)
	if r.bursts[addr] = times - 1; len(r.bursts) == 1 {
		time.AfterFunc(between, r.sayAgain)
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
		time.AfterFunc(between, r.sayAgain)
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
		chosen, err := r.choose()
		if err == nil {
			err = r.use(ctx, chosen)
		}
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

// use makes chosen the interfaces to answer on. One that is new, or has changed,
// announces what is held.
func (r *Responder) use(ctx context.Context, chosen []Interface) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := r.held.Load()
	var errs []error
	for index, p := range r.ports {
		if !slices.ContainsFunc(chosen, p.is) {
			p.close()
			delete(r.ports, index)
		}
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
	reply, claimed := r.held.Load().answer(p.card, frame)
	if reply != nil {
		_ = p.send(reply) // who misses it asks again
	}
	if claimed.IsValid() {
		r.heard(claimed)
	}
}
