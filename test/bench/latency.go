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

package main

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// peerInterval is a little more than the shortest time between two syncs of
// kube-proxy. Waiting that long before each switch means that what is measured
// is its work, and not its waiting.
const peerInterval = 1050 * time.Millisecond

// switched is one switch of a Service from one endpoint to another.
type switched struct {
	at                 time.Time
	sent, acknowledged time.Duration
}

// switchLatency switches the Service to another endpoint again and again.
func (b *bench) switchLatency(ctx context.Context) error {
	arrivals, err := b.inventory.watchSwitching(ctx)
	if err != nil {
		return err
	}
	defer arrivals.stop()
	var sent, acknowledged, watched []time.Duration
	for range b.switches {
		b.rest(ctx)
		s, err := b.switchOver(ctx)
		if err != nil {
			return err
		}
		sent = append(sent, s.sent)
		acknowledged = append(acknowledged, s.acknowledged)
		if at, ok := arrivals.of(b.target()); ok {
			watched = append(watched, at.Sub(s.at))
		}
	}
	b.result.Switch = latency{Sent: spreadOf(sent), Acknowledged: spreadOf(acknowledged), Watch: spreadOf(watched)}
	return nil
}

// rest keeps switches apart: a moment, so that one does not meet the garbage
// of the other, or the peer's sync period.
func (b *bench) rest(ctx context.Context) {
	pause := 20 * time.Millisecond
	if b.name == kubeProxyName {
		pause = peerInterval
	}
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

// target is the endpoint of the current turn. Each turn has an address of its
// own, so that a late answer is never taken for a new one.
func (b *bench) target() netip.Addr { return specialAddress(200 + b.turn%800) }

// probePause is between two attempts to reach a new endpoint. Without it the
// attempts would take all of a small machine, and the API server and the proxy
// would wait for them; what it adds is less than itself.
const probePause = 200 * time.Microsecond

// switchOver writes the next endpoint and connects, over and over, until it
// answers.
func (b *bench) switchOver(ctx context.Context) (switched, error) {
	b.turn++
	target := b.target()
	written := make(chan error, 1)
	var acknowledgedAt time.Time
	s := switched{at: time.Now()}
	go func() {
		err := b.inventory.updateSlice(ctx, switching.name, []netip.Addr{target})
		acknowledgedAt = time.Now()
		written <- err
	}()
	var reachedAt time.Time
	err := b.client.Do(func() (err error) {
		reachedAt, err = b.awaitEndpoint(ctx, target, s.at)
		return err
	})
	if err := <-written; err != nil {
		return s, err
	}
	s.sent, s.acknowledged = reachedAt.Sub(s.at), max(0, reachedAt.Sub(acknowledgedAt))
	return s, err
}

func (b *bench) awaitEndpoint(ctx context.Context, target netip.Addr, since time.Time) (time.Time, error) {
	for n := 0; ; n++ {
		a, err := ask(clientAddress(n), switching.frontend(), attemptPatience)
		switch {
		case err == nil && a.server == target:
			return time.Now(), nil
		case ctx.Err() != nil:
			return time.Time{}, ctx.Err()
		case time.Since(since) > time.Minute:
			return time.Time{}, fmt.Errorf("a new endpoint was not reached within a minute: last %v, %v", a.server, err)
		}
		time.Sleep(probePause)
	}
}

// arrivals are when a bare watch saw the switching Service's endpoints.
type arrivals struct {
	stop func()
	mu   sync.Mutex
	at   map[netip.Addr]time.Time
}

func (v *inventory) watchSwitching(ctx context.Context) (*arrivals, error) {
	events, err := v.client.DiscoveryV1().EndpointSlices(namespace).Watch(ctx, metav1.ListOptions{
		FieldSelector: "metadata.name=" + slice(switching.name, nil).Name, ResourceVersion: "0",
	})
	if err != nil {
		return nil, err
	}
	a := &arrivals{stop: events.Stop, at: map[netip.Addr]time.Time{}}
	go func() {
		for event := range events.ResultChan() {
			a.note(event, time.Now())
		}
	}()
	return a, nil
}

func (a *arrivals) note(event watch.Event, now time.Time) {
	s, ok := event.Object.(*discoveryv1.EndpointSlice)
	if !ok || len(s.Endpoints) == 0 {
		return
	}
	address, err := netip.ParseAddr(s.Endpoints[0].Addresses[0])
	if err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at[address] = now
}

// of gives the event a moment to arrive, as it may come here after the proxy
// has acted on its own.
func (a *arrivals) of(address netip.Addr) (time.Time, bool) {
	for range 100 {
		a.mu.Lock()
		at, ok := a.at[address]
		delete(a.at, address)
		a.mu.Unlock()
		if ok {
			return at, true
		}
		time.Sleep(time.Millisecond)
	}
	return time.Time{}, false
}
