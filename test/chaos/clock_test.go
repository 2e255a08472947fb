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

package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"switchyard.dev/switchyard/test/prereq"
)

// What a jump of a clock can touch is in the package's doc.
func TestAnAgentWhoseClockJumpsLosesNothing(t *testing.T) {
	b := newBed(t)
	unshare := prereq.Tool(t, "unshare", "util-linux")
	own := must(os.Readlink("/proc/self/ns/time"))(t)
	b.startAgent(unprotected)
	b.awaitSync()
	toll := b.under(func() {
		b.endAgent(os.Kill)
		ahead := rand.N(1000 * 24 * time.Hour) // the kernel lets no clock begin below 0
		b.startAgentBy([]string{unshare, "--time", "--monotonic", fmt.Sprint(int(ahead.Seconds())), "--boottime", fmt.Sprint(int(ahead.Seconds()))}, unprotected)
		b.awaitSync()
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/time", b.agent.PID()))
		prereq.Kernel(b, err != nil || theirs != own, "time namespaces that are entered by exec", "6.1")
		pause(300 * time.Millisecond)
	})
	b.nothingLost(toll)
	b.settled(unprotected)
}
