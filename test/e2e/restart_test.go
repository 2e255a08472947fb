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
	"strings"
	"syscall"
	"testing"

	"switchyard.dev/switchyard/internal/localcluster/control"
	"switchyard.dev/switchyard/internal/probe"
)

// TestKilledProgramsLoseNoConnection ends every agent and the manager with
// SIGKILL while a pod makes one connection after the other, and waits until
// all of them are back and take changes again.
func TestKilledProgramsLoseNoConnection(t *testing.T) {
	needCluster(t)
	output(t, "wait", "--for=condition=Ready", "pod/pair", waitFor)
	address := output(t, "get", "service", "front", "-o", "jsonpath={.spec.clusterIP}") + ":17"
	await(t, func() error { return answered(t, address, 1) })

	var before map[string]control.Component
	await(t, func() error {
		before = programs(t)
		for name, p := range before {
			if p.PID == 0 { // it is starting, and 0 would be all of this test
				return fmt.Errorf("%s does not run", name)
			}
		}
		return nil
	})
	traffic := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				traffic <- nil
				return
			default:
			}
			if err := answered(t, address, 200); err != nil {
				traffic <- err
				return
			}
		}
	}()
	for name, p := range before {
		if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
			t.Errorf("ending %s: %v", name, err)
		}
	}
	await(t, func() error {
		for name, now := range programs(t) {
			if now.PID == 0 || now.PID == before[name].PID {
				return fmt.Errorf("%s is not back", name)
			}
		}
		return nil
	})
	output(t, "delete", "service", "later", "--ignore-not-found")
	output(t, "create", "service", "clusterip", "later", "--tcp=80:1234")
	output(t, "patch", "service", "later", "-p", `{"spec":{"selector":{"app":"pair"}}}`)
	later := output(t, "get", "service", "later", "-o", "jsonpath={.spec.clusterIP}") + ":80"
	await(t, func() error { return answered(t, later, 1) })
	close(stop)
	if err := <-traffic; err != nil {
		t.Errorf("a connection was lost: %v", err)
	}
}

// programs are the cluster's agents and manager, by name.
func programs(t *testing.T) map[string]control.Component {
	t.Helper()
	status, err := cluster.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]control.Component{}
	for _, p := range status.Processes {
		if strings.HasPrefix(p.Name, "switchyard-") {
			found[p.Name] = p
		}
	}
	if len(found) < 3 {
		t.Fatalf("want a manager and two agents, found %v", found)
	}
	return found
}

// answered is an error unless each of count connections from a pod is.
func answered(t *testing.T, address string, count int) error {
	t.Helper()
	cmd, err := bed.Command(t.Context(), demoPod("pair"), switchyard(),
		"probe", "--count", fmt.Sprint(count), "-o", "json", address)
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
	for _, a := range answers {
		if a.Outcome != probe.Answered {
			return fmt.Errorf("%s: %s: %s", address, a.Outcome, a.Error)
		}
	}
	return nil
}
