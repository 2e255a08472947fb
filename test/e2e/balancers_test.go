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

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/demo"
	"switchyard.dev/switchyard/internal/localcluster/control"
	"switchyard.dev/switchyard/internal/probe"
)

// TestALoadBalancersAddressOutlivesItsAgent ends the agent that answers for an
// address with SIGKILL, while a machine outside connects all the time and asks
// anew each time who has it. Then it stops the agent that answers, which is not
// started anew, so that another has to answer.
func TestALoadBalancersAddressOutlivesItsAgent(t *testing.T) {
	needCluster(t)
	addresses := balancedAddresses(t, "balanced-both")
	for fault, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stopped": syscall.SIGSTOP} {
		for _, address := range addresses {
			t.Run(fault+" "+address, func(t *testing.T) {
				var owner string
				var agent control.Component
				await(t, func() error { // the agents may be about to settle after the last fault
					owner = announcer(t, address)
					if agent = programs(t)["switchyard-node@"+owner]; agent.PID == 0 {
						return fmt.Errorf("there is no agent on %q, which answers for %s", owner, address)
					}
					return nil
				})
				stop := make(chan struct{})
				gap := make(chan time.Duration, 1)
				go func() { gap <- longestGap(t, address, stop) }()
				if err := syscall.Kill(agent.PID, signal); err != nil {
					t.Fatal(err)
				}
				if signal == syscall.SIGSTOP {
					defer func() { _ = syscall.Kill(agent.PID, syscall.SIGCONT) }()
					await(t, func() error {
						if now := announcer(t, address); now == owner || now == "" {
							return fmt.Errorf("%q still answers for %s", now, address)
						}
						return nil
					})
				} else {
					await(t, func() error {
						if now := programs(t)["switchyard-node@"+owner]; now.PID == 0 || now.PID == agent.PID {
							return fmt.Errorf("the agent of %s is not back", owner)
						}
						return nil
					})
				}
				await(t, func() error { return answeredAnew(t, address) })
				close(stop)
				t.Logf("from outside, %s was not answered for %.1f s at the longest", address, (<-gap).Seconds())
			})
		}
	}
}

// balancedAddresses waits until a Service has one of each family, and each has a
// node that answers for it.
func balancedAddresses(t *testing.T, service string) (addresses []string) {
	t.Helper()
	await(t, func() error {
		addresses = strings.Fields(output(t, "get", "service", service, "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}"))
		if len(addresses) != 2 {
			return fmt.Errorf("%s has the addresses %v, want one of each family", service, addresses)
		}
		for _, address := range addresses {
			if announcer(t, address) == "" {
				return fmt.Errorf("no node answers for %s", address)
			}
		}
		return nil
	})
	return addresses
}

// announcer is the node that `switchyard who` names, empty for none.
func announcer(t *testing.T, address string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), switchyard(), "who", "-o", "json", address)
	cmd.Env = append(os.Environ(), "SWITCHYARD_STATE="+cluster.State())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("switchyard who %s: %v", address, err)
	}
	var answer struct {
		AnnouncedBy string `json:"announcedBy"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("switchyard who %s says %q: %v", address, out, err)
	}
	return answer.AnnouncedBy
}

// answeredAnew connects from outside like who never did before.
func answeredAnew(t *testing.T, address string) error {
	t.Helper()
	flush, err := bed.Command(t.Context(), demo.Outside, "ip", "neigh", "flush", "to", address)
	if err != nil {
		return err
	}
	if out, err := flush.CombinedOutput(); err != nil {
		return fmt.Errorf("forgetting %s: %w: %s", address, err, out)
	}
	to := address + ":80"
	if strings.Contains(address, ":") {
		to = "[" + address + "]:80"
	}
	cmd, err := bed.Command(t.Context(), demo.Outside, switchyard(), "probe", "--timeout", "1s", "-o", "json", to)
	if err != nil {
		return err
	}
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	var answers []probe.Answer
	if err := json.Unmarshal(out, &answers); err != nil {
		return err
	}
	if len(answers) != 1 || answers[0].Outcome != probe.Answered {
		return fmt.Errorf("%s is not answered: %s", address, out)
	}
	return nil
}

// longestGap connects until stop, and tells the longest time without an answer.
func longestGap(t *testing.T, address string, stop <-chan struct{}) (longest time.Duration) {
	last := time.Now()
	for {
		select {
		case <-stop:
			return longest
		default:
		}
		if answeredAnew(t, address) == nil {
			longest = max(longest, time.Since(last))
			last = time.Now()
		}
	}
}
