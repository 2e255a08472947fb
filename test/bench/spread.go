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

package main

import (
	"math"
	"slices"
	"time"
)

// leastForP99 is how many samples a 99th percentile takes. Of fewer it would be
// the greatest of them.
const leastForP99 = 100

// spreadOf sorts durations. Its quantiles are values that were measured: the
// smallest that so many are not above.
func spreadOf(durations []time.Duration) spread {
	if len(durations) == 0 {
		return spread{}
	}
	slices.Sort(durations)
	s := spread{
		Samples: len(durations),
		P50:     milliseconds(quantile(durations, 0.50)),
		Max:     milliseconds(durations[len(durations)-1]),
	}
	if s.Samples >= leastForP99 {
		s.P99 = milliseconds(quantile(durations, 0.99))
	}
	return s
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	n := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[max(0, n)]
}
