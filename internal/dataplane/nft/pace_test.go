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

package nft

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

func TestWhoRewritesOurTableForEverGetsFewRepairs(t *testing.T) {
	for repair, interval := range map[time.Duration]time.Duration{
		10 * time.Millisecond:  newsSoon,
		500 * time.Millisecond: 2 * time.Second,
		time.Minute:            newsLate,
	} {
		t.Run(repair.String(), func(t *testing.T) { rewritesForEver(t, repair, interval) })
	}
}

func rewritesForEver(t *testing.T, repair, interval time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		begin := time.Now()
		var mu sync.Mutex
		var times []time.Duration
		b := newBell(func() time.Duration { return repair }, func() {
			mu.Lock()
			defer mu.Unlock()
			times = append(times, time.Since(begin))
		})
		rung := func() []time.Duration {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(times)
		}
		b.press(ctx)
		if got := rung(); len(got) != 1 || got[0] != 0 {
			t.Errorf("the first change was told after %v, want at once", got)
		}
		for range 800 { // a minute of changes, none of them at the very moment of a ring
			time.Sleep(73 * time.Millisecond)
			b.press(ctx)
		}
		told := len(rung())
		if want := newsBurst + int(time.Minute/interval); told > want || told < want-newsBurst {
			t.Errorf("told %d times in a minute, want about %d", told, want)
		}
		time.Sleep(interval)
		if late := len(rung()) - told; late != 1 {
			t.Errorf("the last change was told %d times, want once", late)
		}
		time.Sleep(time.Minute) // peace
		b.press(ctx)
		if last := rung(); last[len(last)-1] != time.Since(begin) {
			t.Errorf("a change after a minute of peace was told at %v, want at once", last[len(last)-1])
		}
	})
}

func TestNothingIsToldAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		rung := 0
		b := newBell(func() time.Duration { return 0 }, func() { rung++ })
		for range newsBurst + 1 {
			b.press(ctx)
		}
		cancel()
		time.Sleep(time.Minute)
		if rung != newsBurst {
			t.Errorf("rung %d times, want %d", rung, newsBurst)
		}
	})
}

// script is a listener that plays notifications and failures.
type script struct{ steps []any }

// gone is an end of transaction; a tableChange is one notification.
type (
	gone        struct{}
	tableChange struct {
		family uint8
		table  string
	}
)

func (s *script) Receive(ctx context.Context, handle func(uint16, uint8, nfnl.Attributes)) error {
	if len(s.steps) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	step := s.steps[0]
	s.steps = s.steps[1:]
	var m nfnl.Messages
	m.Begin(0, 0, 0, "")
	switch step := step.(type) {
	case error:
		return step
	case gone:
		m.Uint32(unix.NFTA_GEN_ID, 7)
		m.Uint32(unix.NFTA_GEN_PROC_PID, 4711)
		m.String(unix.NFTA_GEN_PROC_NAME, "nft")
		handle(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN, unix.AF_UNSPEC, m.LastAttributes())
	case tableChange:
		m.String(unix.NFTA_TABLE_NAME, step.table)
		handle(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWSETELEM, step.family, m.LastAttributes())
	}
	return nil
}

func (s *script) Close() error { return nil }

func TestWhatAWatcherTells(t *testing.T) {
	v4, v6 := tableChange{unix.NFPROTO_IPV4, "switchyard"}, tableChange{unix.NFPROTO_IPV6, "switchyard"}
	broken := errors.New("bad file descriptor")
	for name, tc := range map[string]struct {
		steps        []any
		unopened     int // how often listening anew fails
		want4, want6 int
		after        time.Duration
	}{
		"one transaction is one piece of news":      {steps: []any{v4, v4, v4, gone{}}, want4: 1},
		"one transaction may concern both families": {steps: []any{v4, v6, v4, gone{}}, want4: 1, want6: 1},
		"each transaction is news":                  {steps: []any{v4, gone{}, v4, gone{}}, want4: 2},
		"nothing is told before the end":            {steps: []any{v4, v6}},
		"other tables are not ours":                 {steps: []any{tableChange{unix.NFPROTO_INET, "switchyard"}, tableChange{unix.NFPROTO_IPV4, "switchyard-mine"}, tableChange{unix.NFPROTO_IPV6, "switch"}, gone{}}},
		"lost notifications may be about anything":  {steps: []any{v4, nfnl.ErrOverrun, gone{}}, want4: 1, want6: 1},
		"a socket that breaks is opened again":      {steps: []any{broken}, want4: 1, want6: 1},
		"and again until it can be":                 {steps: []any{broken}, unopened: 3, want4: 1, want6: 1, after: 3 * reopenPause},
		"what comes after that is heard as before":  {steps: []any{broken, v6, gone{}}, want4: 1, want6: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				told := map[model.Family]int{}
				played := &script{tc.steps}
				w := &Watcher{listener: played}
				w.listen = func() (listener, error) {
					if tc.unopened--; tc.unopened >= 0 {
						return nil, errors.New("too many open files")
					}
					return played, nil
				}
				ended := make(chan error)
				var mu sync.Mutex
				go func() {
					ended <- w.Run(ctx, func(f model.Family) {
						mu.Lock()
						defer mu.Unlock()
						told[f]++
					})
				}()
				if tc.after > 0 {
					time.Sleep(tc.after - time.Millisecond)
					synctest.Wait()
					mu.Lock()
					if len(told) > 0 {
						t.Errorf("told %v before there was a socket", told)
					}
					mu.Unlock()
					time.Sleep(time.Millisecond)
				}
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				if told[model.IPv4] != tc.want4 || told[model.IPv6] != tc.want6 {
					t.Errorf("told %v, want IPv4 %d, IPv6 %d", told, tc.want4, tc.want6)
				}
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
