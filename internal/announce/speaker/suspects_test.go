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

package speaker

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/announce/election"
)

// A read says nothing about a claim that is known only since: its holder may have come
// back and written it.
func TestASuspectIsReadOnceForAllThatIsKnown(t *testing.T) {
	var reads atomic.Int64
	failing := errors.New("away")
	var fail error
	s := &suspects{known: map[string]*suspect{}, read: func(_ context.Context, node string) (election.Record, error) {
		reads.Add(1)
		return election.Record{Node: node, Version: 7}, fail
	}}
	want := func(what string, n int64) {
		t.Helper()
		if got := reads.Swap(0); got != n {
			t.Errorf("%s: it is read %d times, want %d", what, got, n)
		}
	}
	write := election.Write{Addr: netip.MustParseAddr("192.0.2.7"), Suspect: election.Record{Node: "other", Version: 7}, Known: time.Now()}
	fail = failing
	if _, err := s.record(t.Context(), write); !errors.Is(err, failing) {
		t.Errorf("the error is %v", err)
	}
	want("a read that fails", 1)
	fail = nil
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if live, err := s.record(t.Context(), write); err != nil || live.Version != 7 {
				t.Errorf("it is %+v, %v", live, err)
			}
		})
	}
	all.Wait()
	want("many at once", 1)
	later := write
	later.Known = time.Now()
	_, _ = s.record(t.Context(), later)
	want("a claim that is known only since", 1)
	changed := write
	changed.Suspect.Version = 8
	_, _ = s.record(t.Context(), changed)
	want("a record that is another by now", 1)
}
