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

// probeState counts the results of one probe. The zero value of counters and
// an initial result are where a kubelet begins: readiness and startup failed,
// liveness succeeded.
type probeState struct {
	success, failure int32 // thresholds
	result           bool
	inARow           int32
	last             bool
}

func newProbeState(probe *corev1.Probe, initial bool) *probeState {
	return &probeState{success: max(1, probe.SuccessThreshold), failure: max(1, probe.FailureThreshold), result: initial}
}

// observe counts one result and reports whether it reached its threshold, so
// that result now holds it.
func (s *probeState) observe(ok bool) (decided bool) {
	if ok != s.last {
		s.inARow = 0
	}
	s.last = ok
	s.inARow++
	threshold := s.failure
	if ok {
		threshold = s.success
	}
	if s.inARow < threshold {
		return false
	}
	s.result = ok
	return true
}

// probeTimes are a probe's durations, with the API's defaults.
type probeTimes struct{ delay, period, timeout time.Duration }

func timesOf(probe *corev1.Probe) probeTimes {
	seconds := func(n, otherwise int32) time.Duration {
		if n <= 0 {
			n = otherwise
		}
		return time.Duration(n) * time.Second
	}
	return probeTimes{
		delay:   time.Duration(probe.InitialDelaySeconds) * time.Second,
		period:  seconds(probe.PeriodSeconds, 10),
		timeout: seconds(probe.TimeoutSeconds, 1),
	}
}
