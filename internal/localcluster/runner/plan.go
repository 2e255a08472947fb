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

package runner

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

type role uint8

const (
	roleInit    role = iota // runs to its end before the next one
	roleSidecar             // an init container that keeps running
	roleMain
)

type phase uint8

const (
	phaseWaiting phase = iota // never started
	phaseRunning
	phaseExited
)

// view is what a decision needs to know about one container.
type view struct {
	role     role
	policy   corev1.RestartPolicy // the container's own, or its Pod's
	phase    phase
	started  bool // running, and its startup probe, if any, has passed
	exitCode int32
	finished time.Time
	failures int // ends in a row, for the back-off
}

// plan is what a Pod's containers need next.
type plan struct {
	start       []int         // containers to start now
	waiting     []int         // containers in back-off
	again       time.Duration // look again then, unless zero
	initialized bool          // all init containers are done or running
	finished    bool          // nothing will run any more
	failed      bool          // finished, and not every container succeeded
}

// planContainers decides as a kubelet does: init containers one after the
// other, sidecars as soon as it is their turn, then all main containers, each
// after its restart policy.
func planContainers(views []view, now time.Time) plan {
	var p plan
	initialized := true
	for i, v := range views {
		if v.role == roleMain {
			continue
		}
		if done := p.init(i, v, now, initialized); !done {
			initialized = false
		}
		if p.failed {
			return p
		}
	}
	p.initialized = initialized
	if !initialized {
		return p
	}
	p.main(views, now)
	return p
}

// init handles one init container and reports whether the next may follow.
func (p *plan) init(i int, v view, now time.Time, myTurn bool) bool {
	if v.role == roleSidecar {
		if v.phase == phaseExited || (v.phase == phaseWaiting && myTurn) {
			p.startWhenDue(i, v, now)
		}
		// A sidecar that was up once does not hold back the others again.
		return v.started || v.phase == phaseExited
	}
	switch {
	case v.phase == phaseExited && v.exitCode == 0:
		return true
	case v.phase == phaseExited && v.policy == corev1.RestartPolicyNever:
		p.finished, p.failed, p.start = true, true, nil
	case v.phase != phaseRunning && myTurn:
		p.startWhenDue(i, v, now)
	}
	return false
}

func (p *plan) main(views []view, now time.Time) {
	finished, failed := true, false
	for i, v := range views {
		if v.role != roleMain {
			continue
		}
		if v.phase == phaseExited && !restarts(v) {
			failed = failed || v.exitCode != 0
			continue
		}
		finished = false
		if v.phase != phaseRunning {
			p.startWhenDue(i, v, now)
		}
	}
	if finished {
		*p = plan{initialized: true, finished: true, failed: failed}
	}
}

func restarts(v view) bool {
	switch v.policy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return v.exitCode != 0
	}
	return true
}

func (p *plan) startWhenDue(i int, v view, now time.Time) {
	if v.phase == phaseExited {
		if wait := v.finished.Add(backOff(v.failures)).Sub(now); wait > 0 {
			p.waiting = append(p.waiting, i)
			if p.again == 0 || wait < p.again {
				p.again = wait
			}
			return
		}
	}
	p.start = append(p.start, i)
}

const (
	firstBackOff = 10 * time.Second
	maxBackOff   = 5 * time.Minute
	// settled is how long a container runs until its past is forgotten.
	settled = 10 * time.Minute
)

// backOff is how long a container rests after its n-th end in a row: the
// first restart is at once, then 10 s, 20 s and so on up to five minutes.
func backOff(failures int) time.Duration {
	if failures <= 1 {
		return 0
	}
	wait := firstBackOff
	for range min(failures, 10) - 2 {
		wait *= 2
	}
	return min(wait, maxBackOff)
}
