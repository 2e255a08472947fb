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

package routes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// fakeDaemon writes down when it was told what, in seconds since the start.
type fakeDaemon struct {
	start time.Time
	told  []string
	has   []netip.Prefix
	err   error
	slow  time.Duration
}

func (d *fakeDaemon) apply(ctx context.Context, want []netip.Prefix) (bool, error) {
	d.told = append(d.told, fmt.Sprintf("%.0fs %v", time.Since(d.start).Seconds(), want))
	sleep(ctx, d.slow)
	if d.err != nil || ctx.Err() != nil {
		return false, errors.Join(d.err, ctx.Err())
	}
	changed := !slices.Equal(d.has, want)
	d.has = want
	return changed, nil
}

func (d *fakeDaemon) take() []string {
	told := d.told
	d.told = nil
	return told
}

type fakeMetrics struct {
	ipv4, ipv6, told, failed int
	pending                  bool
}

func (m *fakeMetrics) Announced(ipv4, ipv6 int) { m.ipv4, m.ipv6 = ipv4, ipv6 }
func (m *fakeMetrics) Pending(pending bool)     { m.pending = pending }
func (m *fakeMetrics) Told(err error) {
	if m.told++; err != nil {
		m.failed++
	}
}

type bed struct {
	*Announcer
	daemon  *fakeDaemon
	metrics *fakeMetrics
	warned  []string
	stop    func()
}

func inBed(t *testing.T, test func(ctx context.Context, b *bed)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bed{daemon: &fakeDaemon{start: time.Now()}, metrics: &fakeMetrics{}}
		b.Announcer = newAnnouncer(b.daemon, b.metrics, func(err error) { b.warned = append(b.warned, err.Error()) })
		ctx, stop := context.WithCancel(t.Context())
		b.stop = stop
		go b.Run(ctx)
		test(ctx, b)
		stop()
		synctest.Wait()
	})
}

func after(d time.Duration) { time.Sleep(d); synctest.Wait() }

func expect(t *testing.T, when string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", when, got, want)
	}
}

func TestNothingIsToldBeforeAnythingIsKnown(t *testing.T) {
	inBed(t, func(ctx context.Context, b *bed) {
		after(time.Hour)
		expect(t, "before", b.daemon.take(), []string{})
		b.Announce(ctx, nil) // now it is known that there is none
		after(0)
		expect(t, "after", b.daemon.take(), []string{"3600s []"})
	})
}

func TestChangesAreToldAtOnceAndNotMoreThanOnceASecond(t *testing.T) {
	inBed(t, func(ctx context.Context, b *bed) {
		b.Announce(ctx, prefixes("192.0.2.1/32"))
		after(0)
		expect(t, "the first", b.daemon.take(), []string{"0s [192.0.2.1/32]"})
		b.Announce(ctx, prefixes("192.0.2.2/32"))
		b.Announce(ctx, prefixes("192.0.2.3/32", "fd00::3/128", "0.0.0.0/0"))
		after(5 * time.Second)
		expect(t, "many", b.daemon.take(), []string{"1s [192.0.2.3/32 fd00::3/128]"})
		expect(t, "metrics", *b.metrics, fakeMetrics{ipv4: 1, ipv6: 1, told: 2})
		b.Announce(ctx, prefixes("fd00::3/128", "192.0.2.3/32"))
		after(time.Second)
		expect(t, "the same", b.daemon.take(), []string{})
		after(review)
		expect(t, "a review", b.daemon.take(), []string{"11s [192.0.2.3/32 fd00::3/128]"})
		expect(t, "times told", b.metrics.told, 2)
	})
}

func TestADaemonThatIsAwayIsToldUntilItTakesWhatIsWantedByThen(t *testing.T) {
	inBed(t, func(ctx context.Context, b *bed) {
		b.daemon.err = errors.New("away")
		b.Announce(ctx, prefixes("192.0.2.1/32"))
		after(4 * time.Second)
		expect(t, "attempts", b.daemon.take(), []string{"0s [192.0.2.1/32]", "1s [192.0.2.1/32]", "3s [192.0.2.1/32]"})
		expect(t, "metrics", *b.metrics, fakeMetrics{told: 3, failed: 3, pending: true})
		expect(t, "warnings", b.warned, []string{"away"})
		b.Announce(ctx, prefixes("192.0.2.2/32"))
		b.daemon.err = nil
		after(0)
		expect(t, "back", b.daemon.take(), []string{"4s [192.0.2.2/32]"})
		expect(t, "metrics", *b.metrics, fakeMetrics{ipv4: 1, told: 4, failed: 3})
		after(time.Hour)
		b.daemon.take()
		b.daemon.err = errors.New("away")
		after(3 * review)
		expect(t, "warnings", b.warned, []string{"away", "away"})
	})
}

func TestAttemptsBecomeRarer(t *testing.T) {
	inBed(t, func(ctx context.Context, b *bed) {
		b.daemon.err = errors.New("away")
		b.Announce(ctx, nil)
		after(10 * time.Minute)
		if n := len(b.daemon.take()); n < 20 || n > 30 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		expect(t, "warnings", b.warned, []string{"away"})
	})
}

func TestStoppingWithdrawsNothing(t *testing.T) {
	inBed(t, func(ctx context.Context, b *bed) {
		b.Announce(ctx, prefixes("192.0.2.1/32"))
		after(time.Minute)
		b.daemon.take()
		b.stop()
		after(time.Hour)
		expect(t, "told", b.daemon.take(), []string{})
		expect(t, "announced", b.daemon.has, "[192.0.2.1/32]")
	})
}

func TestBeingStoppedIsNoFailure(t *testing.T) {
	inBed(t, func(ctx context.Context, b *bed) {
		b.daemon.slow = 5 * time.Second
		b.Announce(ctx, prefixes("192.0.2.1/32"))
		after(time.Second)
		b.stop()
		after(0)
		expect(t, "warnings", b.warned, []string{})
		expect(t, "failures", b.metrics.failed, 0)
	})
}
