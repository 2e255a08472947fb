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
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// shapes make tables of different chains and sets, as versions do.
var shapes = [][]string{
	nil,
	{"--answer-echo"},
	{"--count-connections"},
	{"--nodeports-on-localhost"},
	{"--answer-echo", "--count-connections"},
}

// olderVersion has sets that this one does not know.
const olderVersion = "add set ip switchyard older { type inet_proto; }; add set ip6 switchyard older { type inet_proto; }"

func TestAnAgentThatMakesAnotherTableLosesNothing(t *testing.T) {
	b := newBed(t)
	b.startAgent(unprotected)
	b.awaitSync()
	replaced, first := 0, true
	toll := b.under(func() {
		pause(300 * time.Millisecond)
		b.endAgent([]os.Signal{os.Interrupt, os.Kill}[rand.IntN(2)])
		if (first || rand.IntN(2) == 0) && b.tamper(olderVersion) != carriedOut {
			b.Error("the table can not be made that of an older version")
		}
		b.startAgent(append(shapes[rand.IntN(len(shapes))], unprotected)...)
		if !first && rand.IntN(3) == 0 { // it may get half-way
			pause(time.Second)
			b.endAgent(os.Kill)
			b.startAgent(append(shapes[rand.IntN(len(shapes))], unprotected)...)
		}
		b.awaitSync()
		first = false // a busy machine may have no time for another
		replaced += strings.Count(b.agent.Log(), `"Recreated":true`)
	})
	b.Logf("%d tables replaced", replaced)
	if replaced == 0 {
		b.Error("no table was replaced")
	}
	b.nothingLost(toll)
	b.endAgent(os.Interrupt)
	b.startAgent(unprotected)
	b.settled(unprotected)
}
