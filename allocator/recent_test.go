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

package allocator

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

// What the index learns while somebody reads a Service is newer than the answer.
func TestAnAnswerUnderWayDoesNotUndoWhatIsLearnt(t *testing.T) {
	first, second := stored(nodePortService("web", 30080), "u1", 1), stored(nodePortService("web", 30081), "u2", 3)
	key := keyOf(first)
	for name, tc := range map[string]struct {
		before, meanwhile, answer func(*Services, Glimpse)
		want                      []string
	}{
		"not found, and nothing happened": {
			func(s *Services, _ Glimpse) { s.Observe(first) }, func(*Services, Glimpse) {}, func(s *Services, g Glimpse) { s.ForgetSeen(key, g) }, nil,
		},
		"not found, and made again meanwhile": {
			func(s *Services, _ Glimpse) { s.Observe(first) }, func(s *Services, _ Glimpse) { s.Observe(second) },
			func(s *Services, g Glimpse) { s.ForgetSeen(key, g) }, []string{"NodePort of web"},
		},
		"not found, and made meanwhile": {
			func(*Services, Glimpse) {}, func(s *Services, _ Glimpse) { s.Observe(second) },
			func(s *Services, g Glimpse) { s.ForgetSeen(key, g) }, []string{"NodePort of web"},
		},
		"found, and deleted meanwhile": {
			func(s *Services, _ Glimpse) { s.Observe(first) }, func(s *Services, _ Glimpse) { s.Forget(key, "u1") },
			func(s *Services, g Glimpse) { s.ObserveRead(first, g) }, nil,
		},
		"found another, while the first was deleted": {
			func(s *Services, _ Glimpse) { s.Observe(first) }, func(s *Services, _ Glimpse) { s.Forget(key, "u1") },
			func(s *Services, g Glimpse) { s.ObserveRead(second, g) }, []string{"NodePort of web"},
		},
		"found what was not known, made and deleted meanwhile": {
			func(*Services, Glimpse) {}, func(s *Services, _ Glimpse) { s.Observe(first); s.Forget(key, "u1") },
			func(s *Services, g Glimpse) { s.ObserveRead(first, g) }, nil,
		},
		"found what was not known, and the next one meanwhile": {
			func(*Services, Glimpse) {}, func(s *Services, _ Glimpse) { s.Observe(first); s.Forget(key, "u1"); s.Observe(second) },
			func(s *Services, g Glimpse) { s.ObserveRead(first, g) }, []string{"NodePort of web"},
		},
		"found after so many have ended that nobody knows": {
			func(*Services, Glimpse) {}, func(s *Services, _ Glimpse) {
				for i := range recentKeys + 1 {
					s.Observe(stored(nodePortService("other", 30090), fmt.Sprint("o", i), i+1))
					s.Forget(keyOf(nodePortService("other")), types.UID(fmt.Sprint("o", i)))
				}
			},
			func(s *Services, g Glimpse) { s.ObserveRead(first, g) }, nil,
		},
		"found what was not known": {
			func(*Services, Glimpse) {}, func(*Services, Glimpse) {}, func(s *Services, g Glimpse) { s.ObserveRead(first, g) }, []string{"NodePort of web"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			index := newIndex(t)
			tc.before(index, Glimpse{})
			glimpse := index.Glimpse(key)
			tc.meanwhile(index, glimpse)
			tc.answer(index, glimpse)
			got := append(holderNames(index.Holders(PortNumber(30080))), holderNames(index.Holders(PortNumber(30081)))...)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("holders (-want +got):\n%s", diff)
			}
		})
	}
}

// The cache that is listed may not know yet what was read past it.
func TestARepairKeepsWhatWasReadPastTheCacheForOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		told bool // by the watch
		want []int
	}{
		"the watch has yet to tell of it": {false, []int{1, 0}},
		"the watch has":                   {true, []int{0, 0}}, // and the list is newer
	} {
		t.Run(name, func(t *testing.T) {
			index := newIndex(t)
			service := stored(nodePortService("web", 30080), "u1", 1)
			index.ObserveRead(service, index.Glimpse(keyOf(service)))
			if tc.told {
				index.Observe(service)
			}
			var got []int
			for range 2 {
				index.Rebuild(nil)
				got = append(got, len(index.Holders(PortNumber(30080))))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("holders after each repair (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAReservationReadUnderWayDoesNotUndoWhatIsLearnt(t *testing.T) {
	first, next := reservedPort(30080, web), reservedPort(30080, types.NamespacedName{Namespace: "default", Name: "next"})
	number := first.Number
	for name, tc := range map[string]struct {
		before, meanwhile func(*Services)
		found             bool
		want              string // whom the number is reserved for
	}{
		"found, and nothing happened":           {func(*Services) {}, func(*Services) {}, true, "web"},
		"found, and deleted meanwhile":          {func(s *Services) { s.Reserve(first) }, func(s *Services) { s.Unreserve(number) }, true, ""},
		"found, and made and deleted meanwhile": {func(*Services) {}, func(s *Services) { s.Reserve(first); s.Unreserve(number) }, true, ""},
		"found, and moved meanwhile":            {func(s *Services) { s.Reserve(first) }, func(s *Services) { s.Reserve(next) }, true, "next"},
		"found, and another number reserved":    {func(*Services) {}, func(s *Services) { s.Reserve(reservedPort(30081, web)) }, true, "web"},
		"not found, and nothing happened":       {func(s *Services) { s.Reserve(first) }, func(*Services) {}, false, ""},
		"not found, and made meanwhile":         {func(*Services) {}, func(s *Services) { s.Reserve(first) }, false, "web"},
	} {
		t.Run(name, func(t *testing.T) {
			index := newIndex(t)
			tc.before(index)
			glimpse := index.GlimpseReservations()
			tc.meanwhile(index)
			if tc.found {
				index.ReserveRead(first, glimpse)
			} else {
				index.UnreserveRead(number, glimpse)
			}
			if got, _ := index.ReservationOf(number); got.Service.Name != tc.want {
				t.Errorf("reserved for %q, want %q", got.Service.Name, tc.want)
			}
		})
	}
}
