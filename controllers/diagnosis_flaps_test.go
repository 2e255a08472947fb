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

package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lived plays a Service for a while, looked at when it becomes well or bad, which it
// is by the second, and when a wait is over.
func lived(seconds int, isWell func(second int) bool) (writes, last int, there []metav1.Condition) {
	const grace = 30 * time.Second
	there = allWell()
	since, flapped, due := map[string]time.Time{}, flaps{}, 0
	for i := range seconds {
		if i != due && i > 0 && isWell(i) == isWell(i-1) {
			continue
		}
		now := judgedAt.Add(time.Duration(i) * time.Second)
		found := foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict)
		if isWell(i) {
			found = allWell()
		}
		flapped.forget(there, now, grace)
		got := findTransitions(there, found, since, flapped, now, grace)
		since, due = got.since, i+int(got.wait/time.Second)
		flapped.note(got.changed, now, grace)
		if got.write != nil {
			writes, last, there = writes+1, i, got.write
		}
	}
	return writes, last, there
}

func TestAServiceThatFlapsIsWrittenLessAndLess(t *testing.T) {
	const hour = 3600
	for name, tc := range map[string]struct {
		seconds int
		isWell  func(int) bool
		writes  int
		want    string
	}{
		"it is ready for seconds before each crash":         {2 * hour, func(i int) bool { return i%300 < 5 }, 3, "PodsNotReady"},
		"it is ready for a minute before each crash":        {2 * hour, func(i int) bool { return i%360 < 60 }, 5, "PodsNotReady"},
		"it is ready for five minutes before each crash":    {2 * hour, func(i int) bool { return i%400 < 300 }, 35, "PodsNotReady"},
		"it crashes no more":                                {2 * hour, func(i int) bool { return i > hour || i%300 < 5 }, 4, "EndpointsReady"},
		"it is mended at the first go":                      {hour, func(i int) bool { return i < 100 || i > 200 }, 2, "EndpointsReady"},
		"it breaks now and then":                            {4 * hour, func(i int) bool { return i%1200 > 60 }, 24, "EndpointsReady"},
		"it crashes, is well for long, and breaks and is":   {4 * hour, func(i int) bool { return i%300 < 5 && i < hour || i > hour && i != 3*hour-10 }, 4, "EndpointsReady"},
		"it is bad for less than its grace time and again":  {hour, func(i int) bool { return i%60 > 25 }, 0, "EndpointsReady"},
		"it is well for seconds only, and then mended once": {hour, func(i int) bool { return i%300 < 5 || i > 1200 }, 4, "EndpointsReady"},
	} {
		t.Run(name, func(t *testing.T) {
			writes, _, there := lived(tc.seconds, tc.isWell)
			if writes != tc.writes || there[0].Reason != tc.want {
				t.Errorf("%d writes, and %s in the end; want %d and %s", writes, there[0].Reason, tc.writes, tc.want)
			}
		})
	}
}

// What is mended is told at once, and after flapping within four minutes.
func TestHowSoonWhatIsMendedIsTold(t *testing.T) {
	for name, tc := range map[string]struct {
		mended int // the second
		bad    func(int) bool
		late   int
	}{
		"the first time":             {1000, func(int) bool { return true }, 0},
		"the second time":            {1000, func(i int) bool { return i < 400 || i > 410 }, 30},
		"the third time":             {1000, func(i int) bool { return i < 400 || i > 410 && i < 500 || i > 540 }, 60},
		"the second time in an hour": {3600, func(i int) bool { return i < 400 || i > 3500 }, 0},
		"after many":                 {2650, func(i int) bool { return i%290 < 40 }, 240},
	} {
		well := func(second int) bool { return second >= tc.mended || !tc.bad(second) }
		_, told, there := lived(tc.mended+300, well)
		if late := told - tc.mended; late != tc.late || there[0].Reason != "EndpointsReady" {
			t.Errorf("%s: %s after %d s, want EndpointsReady after %d s", name, there[0].Reason, late, tc.late)
		}
	}
}
