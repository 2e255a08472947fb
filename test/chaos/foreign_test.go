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
	"os/exec"
	"strings"
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/test/prereq"
)

// foreign are what firewalls and administrators do to the whole of what we have,
// or to what new connections need of it.
var foreign = []string{
	"flush ruleset",
	"delete table ip switchyard; delete table ip6 switchyard",
	"flush table ip switchyard; flush table ip6 switchyard",
	"flush map ip switchyard endpoints; flush map ip6 switchyard endpoints",
	"flush map ip switchyard frontends; flush map ip6 switchyard frontends",
	"flush chain ip switchyard services; flush chain ip6 switchyard services",
	"flush chain ip switchyard nat-prerouting; flush chain ip6 switchyard nat-prerouting",
}

// What became of a change of ours by someone else.
const (
	carriedOut = "carried out"
	refused    = "refused by the kernel"
	pointless  = "without what it was about"
)

// tamper runs nft in the node's namespace.
func (b *bed) tamper(script string) string {
	b.Helper()
	tool := prereq.Tool(b.T, "nft", "nftables")
	var out []byte
	err := b.node.Do(func() (err error) {
		cmd := exec.Command(tool, "-f", "-")
		cmd.Stdin = strings.NewReader(script + "\n")
		out, err = cmd.CombinedOutput()
		return err
	})
	switch {
	case err == nil:
		return carriedOut
	case strings.Contains(string(out), "Operation not permitted"):
		return refused
	case strings.Contains(string(out), "No such file or directory"):
		return pointless // the last one is not repaired yet
	}
	b.Errorf("nft: %v: %s", err, out)
	return ""
}

// Without protection there is a gap until the repair. What is sent to a
// ClusterIP in it gets lost on the way out and is answered when it is sent
// again; the node itself refuses what is sent to its NodePorts.
func TestAForeignFlushIsOverBeforeClientsGiveUp(t *testing.T) {
	b := newBed(t)
	b.startAgent(unprotected)
	b.awaitSync()
	done := map[string]int{}
	toll := b.under(func() {
		script := foreign[rand.IntN(len(foreign))]
		if b.tamper(script) == carriedOut {
			done[script]++
		}
		pause(time.Second)
		pause(time.Second)
	})
	b.Logf("carried out: %v", done)
	if len(done) == 0 {
		b.Error("nothing was carried out")
	}
	if toll.failed.Load() > 0 {
		b.Errorf("attempts failed: %q", toll.examples(&toll.failed))
	}
	b.settled(unprotected)
}

func TestAForeignFlushOfAProtectedTableLosesNothing(t *testing.T) {
	b := newBed(t)
	b.needProtection()
	b.startAgent("--protect-table=on")
	b.awaitSync()
	met := map[string]int{}
	// The first one is refused, "flush ruleset" passes over such a table.
	met[b.tamper(foreign[1])]++
	toll := b.under(func() {
		met[b.tamper(foreign[rand.IntN(len(foreign))])]++
		pause(200 * time.Millisecond)
	})
	b.Log(met)
	if met[refused] == 0 || met[pointless] > 0 {
		b.Errorf("the table was not protected: %v", met)
	}
	b.nothingLost(toll)
	b.settled("--protect-table=on")
}

// needProtection needs a kernel that protects (Linux 6.9).
func (b *bed) needProtection() {
	b.Helper()
	b.in(prereq.Namespace(b), func() error {
		table, err := nft.Open(model.IPv4, nft.Options{Protect: true})
		if err != nil {
			return err
		}
		prereq.Kernel(b, table.Protected(), "nftables tables with an owner that persist", "6.9")
		return table.Close()
	})
}
