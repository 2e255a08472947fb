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
	"errors"
	"net/netip"
	"sync"
	"time"
)

// warmStart stops the proxy, changes a Service, and starts it again, while
// connections to another Service go on.
func (b *bench) warmStart(ctx context.Context) error {
	warm := &b.result.Warm
	var running sync.WaitGroup
	over := make(chan struct{})
	running.Go(func() { warm.Attempts, warm.Failed = b.knock(over) })
	err := b.restart(ctx)
	close(over)
	running.Wait()
	return err
}

func (b *bench) restart(ctx context.Context) error {
	b.process.Stop(endPatience)
	b.turn++
	if err := b.inventory.updateSlice(ctx, switching.name, []netip.Addr{b.target()}); err != nil {
		return err
	}
	begin := time.Now()
	if err := b.begin(); err != nil {
		return err
	}
	return b.world.client.Do(func() error {
		for n := 0; ; n++ {
			a, err := ask(clientAddress(n), switching.frontend(), attemptPatience)
			if err == nil && a.server == b.target() {
				b.result.Warm.Change = milliseconds(time.Since(begin))
				return nil
			}
			if time.Since(begin) > startPatience {
				return err
			}
			if err := errors.Join(b.process.Alive(), ctx.Err()); err != nil {
				return err
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
}

// knock connects every 5 ms until over.
func (b *bench) knock(over <-chan struct{}) (attempts, failed int) {
	_ = b.world.client.Do(func() error {
		for {
			select {
			case <-over:
				return nil
			case <-time.After(5 * time.Millisecond):
			}
			attempts++
			if _, err := ask(clientAddress(attempts), many.frontend(), time.Second); err != nil {
				failed++
			}
		}
	})
	return attempts, failed
}
