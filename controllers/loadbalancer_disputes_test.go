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

	"k8s.io/apimachinery/pkg/types"
)

func TestADisputeSlowsDown(t *testing.T) {
	key := types.NamespacedName{Namespace: "shop", Name: "web"}
	now := time.Unix(1000, 0)
	all := disputes{}
	told := 0
	for i, want := range []time.Duration{0, 0, 0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
		if all.begin(key, now) {
			told++
		}
		if got := max(all.wait(key, now), 0); got != want {
			t.Errorf("after %d times: %v, want %v", i+1, got, want)
		}
		now = now.Add(want)
	}
	for range 100 {
		all.begin(key, now)
	}
	if got := all.wait(key, now); got != disputeLimit || told != 1 {
		t.Errorf("at most %v, told %d times", got, told)
	}
	now = now.Add(2*disputeLimit + time.Second)
	if all.begin(key, now); all.wait(key, now) > 0 {
		t.Error("a dispute that is over counts")
	}
}
