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

package app

import (
	"context"
	"os"
	"runtime"
	"time"

	"switchyard.dev/switchyard/internal/command"
	"switchyard.dev/switchyard/internal/dataplane/health"
)

// An agent runs on every node, and most of what it allocates is decoded objects
// that are dropped at once. The peak is at the start, so that trades CPU for
// memory: at 10,000 Services with 10 endpoints each it takes 98 MiB and 1.8 s,
// with 25 in place of 50 it is 6 MiB less and 2.6 s on the same, busy machine.
// Afterwards there is room below that peak, and a collection less costs a
// change a tenth of its CPU time.
const gcPercentAtStart, gcPercent = 50, 100

// settle waits until the first sync is done and collects what only it needed.
// From then on the program takes turns on one core: a change passes through
// half a dozen goroutines, and to wake another core for each costs more than
// what they do, a seventh of the CPU time of a change on two cores.
func settle(ctx context.Context, state *health.State) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for !state.Ready() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
	command.CollectAt(gcPercent)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	runtime.GC()
}
