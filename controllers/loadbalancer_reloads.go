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

import "time"

const (
	reloadsFrom  = 100 * time.Millisecond
	reloadsUntil = 5 * time.Second
)

// reloadPace is how long to wait before something is done again that costs the API server
// a lot. The first time is at once, and so it is after a while of quiet.
type reloadPace struct {
	due  time.Time // when it was done last, or will be
	wait time.Duration
}

// next is the wait before the next time.
func (p *reloadPace) next(now time.Time) time.Duration {
	if now.Sub(p.due) > 2*reloadsUntil {
		p.wait = 0
	} else {
		p.wait = min(max(2*p.wait, reloadsFrom), reloadsUntil)
	}
	p.due = now.Add(p.wait)
	return p.wait
}
