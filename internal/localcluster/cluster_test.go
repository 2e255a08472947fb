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
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"switchyard.dev/switchyard/internal/localcluster/control"
	"switchyard.dev/switchyard/test/prereq"
	"switchyard.dev/switchyard/test/testenv"
)

// limit bounds every wait of these tests.
const limit = 2 * time.Minute

func TestAClusterLeavesTheMachineAloneAndNothingBehind(t *testing.T) {
	prereq.Root(t)
	before := lookAtMachine(t)
	c := newCommands(t, 0)

	c.mustRun(t, "up", "--keep-running", "--zones", "a,b", "--wait", limit.String())
	before.mustStay(t, "while the cluster runs")
	status := c.status(t)
	wantNodesInZones(t, status.Kubeconfig, map[string]string{"node-1": "a", "node-2": "b"})

	killed := processNamed(t, status, "switchyard-node@node-2")
	kill(t, killed.PID)
	await(t, "the killed agent runs again", func() bool {
		now := processNamed(t, c.status(t), killed.Name)
		return now.PID != 0 && now.PID != killed.PID && now.Restarts == 1
	})

	if out := c.mustRun(t, "up", "--keep-running"); !strings.Contains(out, "running already") {
		t.Errorf("a second up says %q", out)
	}
	if out, err := c.run("up", "--nodes", "3"); err == nil || !strings.Contains(out, "switchyard down") {
		t.Errorf("an up that wants another cluster ends with %v: %q", err, out)
	}

	kill(t, status.PID)
	awaitGone(t, status)
	before.mustStay(t, "after a crash")
	if out, err := c.run("status"); err == nil {
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
	c.mustRun(t, "down")
	awaitGone(t, status)
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
		"an unknown command":     {args: []string{"upp"}, want: "unknown command"},
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

// commands runs the switchyard program as some user, with a state directory
// of its own.
type commands struct {
	program, state string
	uid            uint32
}

func newCommands(t *testing.T, uid uint32) *commands {
	t.Helper()
	programs, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "switchyard-test-") // t.TempDir makes one for root only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chown(dir, int(uid), int(uid)); err != nil {
		t.Fatal(err)
	}
	c := &commands{program: filepath.Join(programs, "switchyard"), state: filepath.Join(dir, "state"), uid: uid}
	t.Cleanup(func() { _, _ = c.run("down") })
	return c
}

func TestMain(m *testing.M) {
	code := m.Run()
	if programs != "" {
		_ = os.RemoveAll(programs)
	}
	os.Exit(code)
}

// programs is where buildOnce has put them, if it was called.
var programs string

// buildOnce puts this source tree's programs and the control plane's into a
// directory where every user can run them.
var buildOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "switchyard-programs-")
	if err != nil {
		return "", err
	}
	programs = dir
	return dir, errors.Join(os.Chmod(dir, 0o755), linkControlPlane(dir), build(dir))
})

func linkControlPlane(dir string) error {
	assets, err := testenv.Assets()
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "k8s"), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		program, err := filepath.EvalSymlinks(filepath.Join(assets, name))
		if err != nil {
			return err
		}
		shared := filepath.Join(dir, filepath.Base(program))
		if err := errors.Join(provide(program, shared), os.Symlink(shared, filepath.Join(dir, "k8s", name))); err != nil {
			return err
		}
	}
	return nil
}

func build(dir string) error {
	for name, pkg := range map[string]string{"switchyard": "switchyard", "switchyard-manager": "manager", "switchyard-node": "node"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, name), "./cmd/"+pkg)
		cmd.Dir = testenv.Root()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// provide makes the program available at another path, by a link if it can.
func provide(program, path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if os.Link(program, path) == nil {
		return nil
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o755)
}

func (c *commands) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.program, args...)
	cmd.Dir = filepath.Dir(c.state)
	cmd.Env = append(os.Environ(), "SWITCHYARD_STATE="+c.state, "KUBEBUILDER_ASSETS=", "HOME="+cmd.Dir)
	if c.uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.uid, Gid: c.uid}}
	}
	return cmd
}

// run returns all that the command prints.
func (c *commands) run(args ...string) (string, error) {
	out, err := c.command(args...).CombinedOutput()
	return string(out), err
}

func (c *commands) mustRun(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.run(args...)
	if err != nil {
		t.Fatalf("switchyard %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *commands) status(t *testing.T) control.Status {
	t.Helper()
	var status control.Status
	if err := json.NewDecoder(bytes.NewBufferString(c.mustRun(t, "status", "-o", "json"))).Decode(&status); err != nil {
		t.Fatal(err)
	}
	return status
}

func wantNodesInZones(t *testing.T, kubeconfig string, want map[string]string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := kubernetes.NewForConfigOrDie(config).CoreV1().Nodes().List(context.Background(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, node := range nodes.Items {
		got[node.Name] = node.Labels[corev1.LabelTopologyZone]
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
				t.Errorf("%s is not ready: %s", node.Name, condition.Message)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nodes and zones (-want +got):\n%s", diff)
	}
}

func processNamed(t *testing.T, status control.Status, name string) control.Component {
	t.Helper()
	for _, p := range status.Processes {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no process is called %s", name)
	return control.Component{}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if pid == 0 {
		t.Fatal("it does not run")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// awaitGone waits until every process of the cluster is gone.
func awaitGone(t *testing.T, status control.Status) {
	t.Helper()
	await(t, "all processes are gone", func() bool {
		for _, p := range status.Processes {
			if alive(p.PID) {
				return false
			}
		}
		return !alive(status.PID)
	})
}

// alive reports whether the process is there and no zombie, which only waits
// for its parent to notice.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain until %s", limit, what)
		}
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}
