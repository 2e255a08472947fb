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
)

func TestWhatComesAgainIsDoneLessAndLessOften(t *testing.T) {
	var p reloadPace
	now := time.Unix(1000, 0)
	for i, want := range []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond,
		1600 * time.Millisecond, 3200 * time.Millisecond, 5 * time.Second, 5 * time.Second} {
		got := p.next(now)
		if got != want {
			t.Errorf("the wait before number %d is %v, want %v", i, got, want)
		}
		now = now.Add(got)
	}
	if got := p.next(now.Add(11 * time.Second)); got != 0 {
		t.Errorf("the wait after a while of quiet is %v", got)
	}
}
