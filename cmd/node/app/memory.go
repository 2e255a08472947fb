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
	"runtime/debug"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/health"
)

// gcPercent trades a little CPU for memory: an agent runs on every node, and
// most of what it allocates is decoded objects that are dropped at once. At
// 10,000 Services with 10 endpoints each a start peaks at 98 MiB and is done
// after 1.8 s; with 25 it is 6 MiB less and takes 2.6 s on the same, busy
// machine. Changes cost the same.
const gcPercent = 50

// boundMemory sets it unless the user has.
func boundMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// settle waits until the first sync is done and then returns to the kernel,
// once, the memory that only it needed; Go would do so on its own over minutes.
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
	debug.FreeOSMemory()
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}
