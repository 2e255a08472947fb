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
	"net/netip"
	"sync"
	"time"
)

// Kinds of destinations, as they are in the results.
const (
	toPods      = "direct"
	toClusterIP = "clusterIP"
	toSticky    = "affinity"
)

const (
	// loops is how many clients connect at the same time.
	loops = 2
	// rounds is how often the kinds take turns, so that what else happens on
	// the machine meets all of them.
	rounds = 3
)

// connections opens new connections through the node as fast as two clients
// can: to the pods themselves, and through Services with 100 endpoints.
func (b *bench) connections(context.Context) error {
	direct := make([]netip.AddrPort, 0, manyEndpoints)
	for _, endpoint := range many.endpoints() {
		direct = append(direct, netip.AddrPortFrom(endpoint, endpointPort))
	}
	kinds := []struct {
		name string
		to   []netip.AddrPort
	}{
		{toPods, direct},
		{toClusterIP, []netip.AddrPort{many.frontend()}},
		{toSticky, []netip.AddrPort{sticky.frontend()}},
	}
	b.result.Traffic = map[string]traffic{}
	handshakes := map[string][]time.Duration{}
	for range rounds {
		for _, kind := range kinds {
			took, failed := b.flood(kind.to, b.options.traffic/rounds)
			handshakes[kind.name] = append(handshakes[kind.name], took...)
			t := b.result.Traffic[kind.name]
			t.Failed += failed
			b.result.Traffic[kind.name] = t
		}
	}
	for name, t := range b.result.Traffic {
		t.Rate = float64(len(handshakes[name])) / b.options.traffic.Seconds()
		t.Handshake = spreadOf(handshakes[name])
		b.result.Traffic[name] = t
	}
	return nil
}

// flood connects to each of the destinations in turn, from each of the client
// addresses in turn.
func (b *bench) flood(to []netip.AddrPort, length time.Duration) (took []time.Duration, failed int) {
	var mu sync.Mutex
	var running sync.WaitGroup
	until := time.Now().Add(length)
	for loop := range loops {
		running.Go(func() {
			var mine []time.Duration
			lost := 0
			_ = b.world.client.Do(func() error {
				for n := loop; time.Now().Before(until); n += loops {
					a, err := ask(clientAddress(n), to[n%len(to)], time.Second)
					if err != nil {
						lost++
						continue
					}
					mine = append(mine, a.connected)
				}
				return nil
			})
			mu.Lock()
			defer mu.Unlock()
			took, failed = append(took, mine...), failed+lost
		})
	}
	running.Wait()
	return took, failed
}
