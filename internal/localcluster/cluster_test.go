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

package localcluster_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"switchyard.dev/switchyard/test/docs/page"
	"switchyard.dev/switchyard/test/prereq"
)

// limit bounds every wait of these tests.
const limit = 5 * time.Minute

func TestAClusterLeavesTheMachineAloneAndNothingBehind(t *testing.T) {
	prereq.Root(t)
	before := lookAtMachine(t)
	c := newCommands(t, 0)

	up := page.Recipe(t, page.RunBy(t, "README.md").Next(t).Commands()[0])
	c.mustRun(t, append(up[1:], "--wait", limit.String())...)
	before.mustStay(t, "while the cluster runs")
	status := c.status(t)
	wantNodesInZones(t, status.Kubeconfig, map[string]string{"node-1": "a", "node-2": "b", "node-3": "c"})

	killed := processNamed(t, status, "switchyard-node@node-2")
	kill(t, killed.PID)
	await(t, "the killed agent runs again", func() bool {
		now := processNamed(t, c.status(t), killed.Name)
		return now.PID != 0 && now.PID != killed.PID && now.Restarts == 1
	})

	if out := c.mustRun(t, "up", "--keep-running"); !strings.Contains(out, "running already") {
		t.Errorf("a second up says %q", out)
	}
	for _, other := range []string{"--nodes=2", "--zones=a", "--suite=none", "--image=any.tar"} {
		if out, err := c.run("up", other); exitCode(err) != 1 || !strings.Contains(out, "switchyard down") {
			t.Errorf("up %s, which wants another cluster, ends with %v: %q", other, err, out)
		}
	}

	kill(t, status.PID)
	awaitGone(t, status)
	before.mustStay(t, "after a crash")
	if out, err := c.run("status", "--processes"); err == nil {
		t.Errorf("a crashed cluster has a status: %s", out)
	}

	c.mustRun(t, "up", "--keep-running", "--nodes", "1", "--wait", limit.String())
	status = c.status(t)
	c.mustRun(t, "down")
	for _, p := range status.Processes {
		if alive(p.PID) {
			t.Errorf("down returned before %s (pid %d) was gone", p.Name, p.PID)
		}
	}
	if _, err := os.Stat(c.state); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state directory is still there: %v", err)
	}
	before.mustStay(t, "after down")
}

func TestAnOrdinaryUserHasAClusterToo(t *testing.T) {
	prereq.Root(t)
	const nobody = 65534
	c := newCommands(t, nobody)
	out, err := c.run("up", "--keep-running", "--wait", limit.String())
	if err != nil && strings.Contains(out, "run as root") {
		return // what there is to say on a machine that forbids it
	}
	if err != nil {
		t.Fatalf("up: %v\n%s", err, out)
	}
	if out := c.mustRun(t, "exec", "--node", "2", "--", "ip", "-brief", "address", "show", "eth0"); !strings.Contains(out, "172.30.0.12/24") {
		t.Errorf("the network of node-2 has %q", out)
	}
	if out, err := c.run("exec", "--outside", "--", "sh", "-c", "exit 7"); exitCode(err) != 7 {
		t.Errorf("a program that ends with 7 ends exec with %v: %s", err, out)
	}
	status := c.status(t)
	kill(t, supervisorBelow(t, status.PID))
	awaitGone(t, status)
	c.mustRun(t, "down")
	if _, err := os.Stat(c.state); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state directory is still there: %v", err)
	}
}

func TestCtrlCInTheMiddleLeavesNothing(t *testing.T) {
	prereq.Root(t)
	for name, signal := range map[string]os.Signal{"Ctrl-C": os.Interrupt, "kill -9": os.Kill} {
		t.Run(name, func(t *testing.T) {
			c := newCommands(t, 0)
			up := c.command("up", "--wait", limit.String())
			out, err := up.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := up.Start(); err != nil {
				t.Fatal(err)
			}
			// The first line is the first step that is done: the control plane is
			// about to start.
			if _, err := out.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			status := c.status(t)
			if err := up.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, out)
			if err := up.Wait(); err == nil {
				t.Error("an interrupted up says that all is well")
			}
			awaitGone(t, status)
			c.mustRun(t, "down")
			if _, err := os.Stat(c.state); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the state directory is still there: %v", err)
			}
		})
	}
}

func TestBadInputIsNamedWithItsRemedy(t *testing.T) {
	prereq.Root(t)
	c := newCommands(t, 0)
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	port := fmt.Sprint(taken.Addr().(*net.TCPAddr).Port)
	tests := map[string]struct {
		args []string
		want string
	}{
		"a port that is in use":  {args: []string{"up", "--port", port}, want: "--port"},
		"no nodes":               {args: []string{"up", "--nodes", "0"}, want: "--nodes 0: the number must be from 1 to"},
		"a zone without a name":  {args: []string{"up", "--zones", "a,,b"}, want: "--zones"},
		"an unknown flag":        {args: []string{"up", "--nodez", "1"}, want: "--help"},
		"an unknown command":     {args: []string{"upp"}, want: "did you mean top or up"},
		"exec without a cluster": {args: []string{"exec", "--outside", "--", "true"}, want: "switchyard up"},
		"logs without a cluster": {args: []string{"logs", "etcd"}, want: "switchyard up"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := c.run(tc.args...)
			if exitCode(err) != 1 || !strings.Contains(out, tc.want) {
				t.Errorf("ends with %v and %q, want code 1 and %q", err, out, tc.want)
			}
			if _, err := os.Stat(c.state); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("something is left in the state directory: %v", err)
			}
		})
	}
}
