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

package probe

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"switchyard.dev/switchyard/test/prereq"
)

// A sender on the node itself gets EPERM for a datagram that is stopped on its
// way out, whatever stopped it.
func TestWhatIsStoppedOnTheWayOutIsRefusedOrDropped(t *testing.T) {
	tool := prereq.Tool(t, "nft", "nftables")
	ns := prereq.Namespace(t)
	if err := ns.Do(func() error {
		cmd := exec.Command(tool, "-f", "-")
		cmd.Stdin = strings.NewReader(`table inet t { chain output { type filter hook output priority 0
			udp dport 1 drop
			udp dport 2 reject with icmpx type port-unreachable
			sctp dport 1 drop
			sctp dport 2 reject with icmpx type port-unreachable
		}; }`)
		return cmd.Run()
	}); err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []string{"udp", "sctp"} {
		for address, want := range map[string]Outcome{
			"127.0.0.1:1": TimedOut, "127.0.0.1:2": Refused, "[::1]:1": TimedOut, "[::1]:2": Refused,
		} {
			t.Run(protocol+" "+address, func(t *testing.T) {
				timeout := time.Minute // a refusal comes at once
				if want == TimedOut {
					timeout = 200 * time.Millisecond
				}
				err := ns.Do(func() error {
					answers, err := Run(t.Context(), Request{Protocol: protocol, Address: address, Count: 1, Timeout: timeout})
					if err == nil && answers[0].Outcome != want {
						t.Errorf("outcome %s (%s), want %s", answers[0].Outcome, answers[0].Error, want)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}
