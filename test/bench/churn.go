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
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	steadyRate = 50
	burstRate  = 500
	// writers is how many writes are under way at most.
	writers = 16
)

// steadyChurn measures what an update costs. Nothing else happens meanwhile.
func (b *bench) steadyChurn(ctx context.Context) error {
	updates, err := b.churning(ctx, "steady", steadyRate, b.options.churn, nil)
	b.result.Steady = updates
	return err
}

// busyChurn is steadyChurn on a node that has many connections to track.
func (b *bench) busyChurn(ctx context.Context) error {
	if err := b.trackConnections(b.options.tracked); err != nil {
		return err
	}
	updates, err := b.churning(ctx, "busy", steadyRate, b.options.busyChurn(), nil)
	b.result.Busy = updates
	return err
}

// burstChurn measures whether updates queue up: a Service is switched all the
// time between them.
func (b *bench) burstChurn(ctx context.Context) error {
	var lags []switched
	updates, err := b.churning(ctx, "burst", burstRate, b.options.burst, func(ctx context.Context) error {
		for ctx.Err() == nil {
			s, err := b.switchOver(context.WithoutCancel(ctx))
			if err != nil {
				return err
			}
			lags = append(lags, s)
			time.Sleep(50 * time.Millisecond)
		}
		return nil
	})
	if len(lags) > 0 {
		first := lags[0].at
		updates.LagMiddle = medianLag(lags, first.Add(b.options.burst/3), first.Add(b.options.burst*2/3))
		updates.LagEnd = medianLag(lags, first.Add(b.options.burst*2/3), first.Add(b.options.burst))
	}
	b.result.Burst = updates
	return err
}

// churning replaces one endpoint of one Service after the other, rate times a
// second. The times of the writes are fixed in advance: a slow answer does not
// make the next one late. during runs beside it until the last is written.
func (b *bench) churning(ctx context.Context, name string, rate int, length time.Duration, during func(context.Context) error) (churn, error) {
	result := churn{PerSecond: rate}
	if err := b.awaitIdle(ctx); err != nil {
		return result, err
	}
	if err := b.process.ForgetPeak(); err != nil {
		return result, err
	}
	before, err := b.process.CPU()
	if err != nil {
		return result, err
	}
	stopProfile := b.profileCPU(name, length)
	turns := b.turn
	result.Updates = int(length.Seconds() * float64(rate))
	if result.Seconds, err = b.write(ctx, result.Updates, rate, during); err != nil {
		return result, err
	}
	if result.Tracked, err = b.tracked(); err != nil {
		return result, err
	}
	last, err := b.switchOver(ctx)
	if err != nil {
		return result, err
	}
	after, err := b.process.CPU()
	if err != nil {
		return result, err
	}
	result.LagAfter = milliseconds(last.sent)
	result.Switches = b.turn - turns
	result.CPU = milliseconds(after-before) / float64(result.Updates+result.Switches)
	stopProfile()
	result.PeakBytes, err = b.process.PeakMemory()
	return result, err
}

// awaitIdle waits until the proxy has done what it was busy with.
func (b *bench) awaitIdle(ctx context.Context) error {
	return awaitIdle(ctx, b.process.CPU, 20*time.Millisecond)
}

// awaitIdle waits until no more than most is spent in a second. It waits no
// longer than two minutes, as some are never idle.
func awaitIdle(ctx context.Context, spent func() (time.Duration, error), most time.Duration) error {
	before, err := spent()
	for range 120 {
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
		var now time.Duration
		if now, err = spent(); now-before < most {
			return err
		}
		before = now
	}
	return err
}

// write makes total updates and says in how many seconds. during is not waited
// for in these: it ends with a switch, which takes as long as the proxy does.
func (b *bench) write(ctx context.Context, total, rate int, during func(context.Context) error) (seconds float64, err error) {
	group, ctx := errgroup.WithContext(ctx)
	writing, written := context.WithCancel(ctx)
	defer written()
	if during != nil {
		group.Go(func() error { return during(writing) })
	}
	begin := time.Now()
	group.Go(func() error {
		defer written()
		err := b.writeAll(ctx, total, rate)
		seconds = time.Since(begin).Seconds()
		return err
	})
	err = group.Wait()
	return seconds, err
}

func (b *bench) writeAll(ctx context.Context, total, rate int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	begin := time.Now()
	for n := range total {
		due := begin.Add(time.Duration(n) * time.Second / time.Duration(rate))
		select {
		case <-ctx.Done():
			return group.Wait()
		case <-time.After(time.Until(due)):
		}
		// A stride that meets every Service before it meets one again.
		service := n * stride(b.size.Services) % b.size.Services
		group.Go(func() error { return b.inventory.replaceOne(ctx, service, n/b.size.Services) })
	}
	return group.Wait()
}

// stride has no factor in common with n.
func stride(n int) int {
	for s := n*5/8 + 1; ; s++ {
		a, b := s, n
		for b != 0 {
			a, b = b, a%b
		}
		if a == 1 {
			return s
		}
	}
}

func medianLag(lags []switched, from, to time.Time) float64 {
	var within []time.Duration
	for _, s := range lags {
		if !s.at.Before(from) && s.at.Before(to) {
			within = append(within, s.sent)
		}
	}
	return spreadOf(within).P50
}
