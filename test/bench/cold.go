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
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
)

const (
	// sampled is how many Services are watched while a proxy starts. All are
	// asked afterwards.
	sampled = 200
	// attemptPatience bounds one attempt, after which another is made; a SYN
	// that was lost would otherwise be sent again only after a second.
	attemptPatience = 20 * time.Millisecond
	// startPatience bounds a whole start.
	startPatience = 5 * time.Minute
)

// coldStart starts the proxy with an empty kernel. While it starts, one
// Service at a time is asked, every 2 ms, and the next when that one has
// answered: first some that are the first and last in the orders a proxy may
// work in, and a random sample. Then every Service is asked once; should one
// not answer, the start is as long as until it does.
func (b *bench) coldStart(ctx context.Context) error {
	begin := time.Now()
	if err := b.begin(); err != nil {
		return err
	}
	finishProfile := b.profileCPU("cold", 5*time.Second)
	cold := &b.result.Cold
	err := b.client.Do(func() error {
		answered, err := b.awaitSample(ctx, begin)
		if err != nil {
			return err
		}
		cold.AllAnswer = milliseconds(answered)
		cpu, err := b.process.CPU()
		if err != nil {
			return err
		}
		cold.CPU = milliseconds(cpu)
		return b.sweep(ctx, begin)
	})
	if err != nil {
		return err
	}
	cold.PeakBytes, err = b.process.PeakMemory()
	finishProfile()
	return err
}

func (b *bench) awaitSample(ctx context.Context, begin time.Time) (time.Duration, error) {
	n := b.size.Services
	sample := []netip.AddrPort{frontend(n - 1), frontend(0), sticky.frontend(), many.frontend(), switching.frontend()}
	for range sampled {
		sample = append(sample, frontend(rand.IntN(n)))
	}
	for i, to := range sample {
		for {
			_, err := ask(clientAddress(i), to, attemptPatience)
			if err == nil {
				break
			}
			if time.Since(begin) > startPatience {
				return 0, fmt.Errorf("%s does not answer after %v: %w", to, startPatience, err)
			}
			if err := errors.Join(b.process.Alive(), ctx.Err()); err != nil {
				return 0, err
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
	return time.Since(begin), nil
}

// sweep asks every Service.
func (b *bench) sweep(ctx context.Context, begin time.Time) error {
	cold := &b.result.Cold
	for i := range b.size.Services {
		late := false
		for {
			_, err := ask(clientAddress(i), frontend(i), time.Second)
			if err == nil {
				break
			}
			late = true
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if time.Since(begin) > startPatience {
				return fmt.Errorf("%s does not answer: %w", frontend(i), err)
			}
		}
		cold.Swept++
		if late {
			cold.Late++
			cold.AllAnswer = milliseconds(time.Since(begin))
		}
	}
	return nil
}

func frontend(service int) netip.AddrPort { return netip.AddrPortFrom(clusterIP(service), servicePort) }
