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

package conntrack

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// walks is a kernel whose table takes a while to walk through.
type walks struct {
	mu    sync.Mutex
	takes time.Duration
	fail  int // that many of the next
	seen  []Sweep
	times []time.Time
}

func (w *walks) sweep(_ context.Context, what Sweep) (int, error) {
	defer time.Sleep(w.takes)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen, w.times = append(w.seen, what), append(w.times, time.Now())
	if w.fail > 0 {
		w.fail--
		return 0, errors.New("no buffer space available")
	}
	return len(what.Stale), nil
}

func sweeping(t *testing.T, w *walks, test func(s *Sweeper)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newSweeper(w.sweep, nil)
		ended := make(chan struct{})
		go func() { defer close(ended); s.Run(ctx) }()
		test(s)
		cancel()
		<-ended
	})
}

// handshakes asks for what was never answered of TCP, but for the allowed.
func handshakes(host byte, amends bool, allowed ...netip.AddrPort) Sweep {
	to := at(model.IPv4, 96, host, 80)
	return Sweep{Stale: []Stale{{
		Protocol: model.TCP, Addrs: []netip.Addr{to.Addr()}, Port: to.Port(), Allowed: allowed, UnrepliedOnly: true, Amends: amends,
	}}}
}

func staleAt(host byte, allowed ...netip.AddrPort) Sweep {
	to := at(model.IPv4, 96, host, 53)
	return Sweep{Stale: []Stale{{Protocol: model.UDP, Addrs: []netip.Addr{to.Addr()}, Port: to.Port(), Allowed: allowed}}}
}

func hosts(what Sweep) (list []int) {
	for _, s := range what.Stale {
		list = append(list, int(s.Addrs[0].As4()[3]))
	}
	slices.Sort(list)
	return list
}

func TestWhatComesDuringAWalkSharesTheNext(t *testing.T) {
	w := &walks{takes: 10 * time.Millisecond}
	sweeping(t, w, func(s *Sweeper) {
		begin := time.Now()
		for host := range byte(100) {
			s.Add(staleAt(host))
			if host == 0 {
				synctest.Wait() // it is served at once
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(w.seen) != 2 || len(w.seen[0].Stale) != 1 || len(w.seen[1].Stale) != 99 {
			t.Fatalf("%d walks", len(w.seen))
		}
		if first := w.times[0].Sub(begin); first != 0 {
			t.Errorf("the first walk began after %s", first)
		}
		if pause := w.times[1].Sub(w.times[0]); pause != time.Duration(ofUDP.rest+1)*w.takes {
			t.Errorf("the second walk began after %s", pause)
		}
	})
}

func TestWalksTakeAFiftiethOfAProcessor(t *testing.T) {
	w := &walks{takes: 10 * time.Millisecond}
	sweeping(t, w, func(s *Sweeper) {
		for i := range 10_000 { // ten seconds of churn
			s.Add(staleAt(byte(i)))
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if busy := time.Duration(len(w.seen)) * w.takes; busy > 210*time.Millisecond {
			t.Errorf("%d walks took %s of 10 s", len(w.seen), busy)
		}
	})
}

func TestALongWalkDoesNotMakeOthersWaitForLong(t *testing.T) {
	w := &walks{takes: 300 * time.Millisecond}
	sweeping(t, w, func(s *Sweeper) {
		s.Add(staleAt(1))
		synctest.Wait()
		s.Add(staleAt(2))
		time.Sleep(w.takes + ofUDP.most)
		synctest.Wait()
		if len(w.seen) != 2 {
			t.Errorf("%d walks", len(w.seen))
		}
	})
}

// A repair asks for what was let through while the rules were gone. It is found
// before it is repeated, however many endpoints come and go.
func TestWhatWasLetThroughDoesNotWaitForLong(t *testing.T) {
	w := &walks{takes: 20 * time.Millisecond}
	sweeping(t, w, func(s *Sweeper) {
		s.Add(handshakes(1, false))
		synctest.Wait()
		time.Sleep(w.takes)
		s.Add(handshakes(2, false))
		repaired := time.Now()
		s.Add(Sweep{Untranslated: []Destination{{model.TCP, at(model.IPv4, 96, 8, 80)}}})
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(w.seen) != 2 || len(w.seen[1].Stale) != 1 || len(w.seen[1].Untranslated) != 1 {
			t.Fatalf("%d walks", len(w.seen))
		}
		if waited := w.times[1].Sub(repaired); waited > ofUntranslated.most {
			t.Errorf("waited for %s", waited)
		}
	})
}

func TestOnlyWalksForUDPAreFrequent(t *testing.T) {
	w := &walks{takes: 20 * time.Millisecond}
	sweeping(t, w, func(s *Sweeper) {
		unanswered := Stale{Protocol: model.TCP, Addrs: []netip.Addr{at(model.IPv4, 96, 9, 0).Addr()}, Port: 80, UnrepliedOnly: true}
		begin := time.Now()
		for range 600 { // a minute of updates of TCP Services
			s.Add(Sweep{Stale: []Stale{unanswered}})
			time.Sleep(100 * time.Millisecond)
		}
		if first := w.times[0].Sub(begin); first != 0 {
			t.Errorf("the first walk began after %s", first)
		}
		if len(w.seen) < 8 || len(w.seen) > 11 {
			t.Errorf("%d walks in a minute", len(w.seen))
		}
		synctest.Wait()
		s.Add(staleAt(1))
		synctest.Wait()
		if last := w.seen[len(w.seen)-1]; len(last.Stale) != 1 || last.Stale[0].Protocol != model.UDP {
			t.Errorf("UDP has to wait for others, or others go with it: %v", last)
		}
	})
}

func TestWhatFailedIsDoneAgain(t *testing.T) {
	w := &walks{takes: time.Millisecond, fail: 2}
	sweeping(t, w, func(s *Sweeper) {
		old, renewed := at(model.IPv4, 2, 1, 53), at(model.IPv4, 2, 2, 53)
		s.Add(staleAt(1, old))
		s.Add(staleAt(2, old))
		s.Add(Sweep{Untranslated: []Destination{{model.UDP, at(model.IPv4, 97, 1, 80)}}})
		synctest.Wait()
		s.Add(staleAt(2, renewed)) // while the walk that will fail is on
		s.Add(staleAt(3, old))
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(w.seen) != 3 {
			t.Fatalf("%d walks, want two that fail and one more", len(w.seen))
		}
		last := w.seen[2]
		if diff := cmp.Diff([]int{1, 2, 3}, hosts(last)); diff != "" || len(last.Untranslated) != 1 {
			t.Errorf("looked for %s, untranslated %v", diff, last.Untranslated)
		}
		for _, stale := range last.Stale {
			if stale.Addrs[0].As4()[3] == 2 && stale.Allowed[0] != renewed {
				t.Errorf("an older request replaced a newer one: %v", stale)
			}
		}
	})
}

func TestWhatOneRequestSaysOfADestinationIsJoined(t *testing.T) {
	w := &walks{takes: time.Millisecond}
	sweeping(t, w, func(s *Sweeper) {
		s.Add(staleAt(3))
		synctest.Wait() // what follows waits for the next walk
		// A port that is given another name is a new one and one that is gone, at
		// the same address; so is an address that moves to another Service.
		stays, left := at(model.IPv4, 2, 1, 53), at(model.IPv4, 2, 9, 53)
		s.Add(Sweep{Stale: slices.Concat(staleAt(1, left).Stale, staleAt(2, left).Stale)})
		s.Add(Sweep{Stale: slices.Concat(staleAt(1, stays).Stale, staleAt(1).Stale, staleAt(2).Stale, staleAt(2, stays).Stale)})
		time.Sleep(time.Minute)
		synctest.Wait()
		last := w.seen[len(w.seen)-1]
		if diff := cmp.Diff([]int{1, 2}, hosts(last)); diff != "" {
			t.Errorf("looked for (-want +got):\n%s", diff)
		}
		for _, stale := range last.Stale {
			if !slices.Equal(stale.Allowed, []netip.AddrPort{stays}) {
				t.Errorf("flows of %v to %v stay, want those to %v", stale.Addrs, stale.Allowed, stays)
			}
		}
	})
}

func TestWhatAmendsIsNoReasonToWalk(t *testing.T) {
	w := &walks{takes: time.Millisecond}
	sweeping(t, w, func(s *Sweeper) {
		s.Add(handshakes(1, true, at(model.IPv4, 2, 1, 80)))
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(w.seen) != 0 {
			t.Fatalf("%d walks", len(w.seen))
		}
		s.Add(handshakes(2, false))
		synctest.Wait()
		if diff := cmp.Diff([]int{2}, hosts(w.seen[0])); diff != "" {
			t.Errorf("looked for (-want +got):\n%s", diff)
		}
	})
}

// One endpoint goes and another comes while the request waits: handshakes with
// the second must not be taken for stale.
func TestWhatAmendsRenewsARequestThatWaits(t *testing.T) {
	w := &walks{takes: 20 * time.Millisecond}
	sweeping(t, w, func(s *Sweeper) {
		s.Add(handshakes(9, false))
		synctest.Wait() // what follows waits for the next walk
		time.Sleep(time.Second)
		left, came := at(model.IPv4, 2, 1, 80), at(model.IPv4, 2, 2, 80)
		s.Add(handshakes(1, false, left))
		s.Add(handshakes(1, true, left, came))
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(w.seen) != 2 || !slices.Equal(w.seen[1].Stale[0].Allowed, []netip.AddrPort{left, came}) {
			t.Errorf("walked for %+v", w.seen)
		}
	})
}

func TestOfOneRequestWhatAmendsGoesWithWhatDoesNot(t *testing.T) {
	w := &walks{takes: time.Millisecond}
	sweeping(t, w, func(s *Sweeper) {
		stays := at(model.IPv4, 2, 1, 80)
		// A port of TCP with another name: the new one has its endpoints, the old
		// one has lost the destination.
		s.Add(Sweep{Stale: slices.Concat(handshakes(1, true, stays).Stale, handshakes(1, false).Stale)})
		synctest.Wait()
		if len(w.seen) != 1 || !slices.Equal(w.seen[0].Stale[0].Allowed, []netip.AddrPort{stays}) {
			t.Errorf("walked for %+v", w.seen)
		}
	})
}

func TestAWalkLearnsWhatCameMeanwhile(t *testing.T) {
	w := &walks{takes: time.Second, fail: 1}
	sweeping(t, w, func(s *Sweeper) {
		left, came, back := at(model.IPv4, 2, 1, 80), at(model.IPv4, 2, 2, 80), at(model.IPv4, 2, 3, 80)
		s.Add(Sweep{Stale: slices.Concat(handshakes(1, false, left).Stale, handshakes(2, false, left).Stale, handshakes(3, false, left).Stale)})
		synctest.Wait() // the walk that will fail is on
		s.Add(handshakes(1, true, left, came))
		s.Add(handshakes(2, false, back))
		s.Add(handshakes(4, true, came)) // was not asked for
		newer := map[int][]netip.AddrPort{}
		for _, stale := range w.seen[0].newer() {
			newer[int(stale.Addrs[0].As4()[3])] = stale.Allowed
		}
		if diff := cmp.Diff(map[int][]netip.AddrPort{1: {left, came}, 2: {back}}, newer, addresses); diff != "" {
			t.Errorf("what the walk is told (-want +got):\n%s", diff)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(w.seen) != 2 {
			t.Fatalf("%d walks", len(w.seen))
		}
		again := map[int][]netip.AddrPort{}
		for _, stale := range w.seen[1].Stale {
			again[int(stale.Addrs[0].As4()[3])] = stale.Allowed
		}
		if diff := cmp.Diff(map[int][]netip.AddrPort{1: {left, came}, 2: {back}, 3: {left}}, again, addresses); diff != "" {
			t.Errorf("what the next walk is after (-want +got):\n%s", diff)
		}
		s.Add(handshakes(1, true, left)) // nothing waits any more
		time.Sleep(time.Minute)
		if len(w.seen) != 2 {
			t.Errorf("%d walks in the end", len(w.seen))
		}
	})
}
