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

package migration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/localcluster/runner/image"
	"switchyard.dev/switchyard/internal/localcluster/runner/image/imagetest"
	"switchyard.dev/switchyard/test/docs/page"
	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/test/traffic"
)

// limit bounds every wait, and each block of commands, whose own waits are shorter.
const limit = 6 * time.Minute

// cluster is a local cluster with kube-proxy and without the suite.
type cluster struct{ program, state string }

func startCluster(t *testing.T, mode, archive string) *cluster {
	t.Helper()
	dir := t.TempDir()
	c := &cluster{program: filepath.Join(testenv.Root(), "bin", "switchyard"), state: filepath.Join(dir, "state")}
	t.Cleanup(func() {
		if out, err := c.command("down").CombinedOutput(); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
	})
	c.must(t, "up", "--keep-running", "--suite=none", "--kube-proxy="+mode, "--image="+archive, "--wait="+limit.String())
	return c
}

// writeImage assembles what `make image` does, from the programs in bin/.
func writeImage(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	var files []imagetest.File
	for _, name := range []string{"switchyard-manager", "switchyard-node"} {
		program, err := os.ReadFile(filepath.Join(testenv.Root(), "bin", name))
		if err != nil {
			t.Fatalf("%v: run `make build`", err)
		}
		files = append(files, imagetest.File{Name: name, Content: string(program), Mode: 0o755})
	}
	imagetest.Archive{Name: "switchyard:latest", Config: image.Config{User: "65532:65532"}, Layers: [][]imagetest.File{files}}.Write(t, path)
	return path
}

func (c *cluster) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.program, args...)
	cmd.Env = append(os.Environ(), "SWITCHYARD_STATE="+c.state)
	return cmd
}

func (c *cluster) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("switchyard %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// shell runs a script as somebody at the top of the repository would.
func (c *cluster) shell(script string) (string, error) {
	root := testenv.Root()
	cmd := exec.Command("timeout", strconv.Itoa(int(limit.Seconds())), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "SWITCHYARD_STATE="+c.state, "KUBECONFIG="+filepath.Join(c.state, "kubeconfig"),
		"PATH="+filepath.Join(root, "bin")+":"+filepath.Join(root, "bin", "k8s")+":"+os.Getenv("PATH"), "HOME="+filepath.Dir(c.state))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *cluster) mustShell(t *testing.T, script string) string {
	t.Helper()
	began := time.Now()
	out, err := c.shell(script)
	if err != nil {
		t.Fatalf("%v\n--- script\n%s\n--- output\n%s", err, script, out)
	}
	t.Logf("%s, %.1f s: %s", began.Format("15:04:05.000"), time.Since(began).Seconds(), inShort(script))
	return out
}

// inShort is the first command that is no assignment.
func inShort(script string) string {
	for line := range strings.Lines(script) {
		if !beforeCommands.MatchString(line) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

var beforeCommands = regexp.MustCompile(`^(\w+=.*|\()?\n`)

// get is an object as the API server has it.
func (c *cluster) get(t *testing.T, into any, args string) {
	t.Helper()
	out, err := c.shell("kubectl get -o json " + args)
	if err == nil {
		err = json.Unmarshal([]byte(out), into)
	}
	if err != nil {
		t.Fatalf("kubectl get %s: %v\n%s", args, err, out)
	}
}

func (c *cluster) await(t *testing.T, what, script string) {
	t.Helper()
	var out string
	var err error
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if out, err = c.shell(script); err == nil {
			return
		}
	}
	t.Fatalf("waited %v in vain until %s: %v\n%s", limit, what, err, out)
}

// commands are those of the blocks below a heading of a page.
func commands(t *testing.T, given *page.Given, heading string) []string {
	t.Helper()
	var scripts []string
	for _, b := range given.Section(t, heading) {
		scripts = append(scripts, b.Text())
	}
	return scripts
}

// follow runs all commands of a section, for nodes in place of the one that the
// page names, each block for all of them at a time.
func (c *cluster) follow(t *testing.T, given *page.Given, heading string, nodes ...string) {
	t.Helper()
	for _, script := range commands(t, given, heading) {
		c.mustShell(t, forNodes(script, nodes))
	}
}

func forNodes(script string, nodes []string) string {
	if len(nodes) == 0 {
		return script
	}
	var all strings.Builder
	for _, node := range nodes {
		all.WriteString("(\n" + strings.ReplaceAll(script, "NODE=node-2", "NODE="+node) + ") & running+=($!)\n")
	}
	return all.String() + `for pid in "${running[@]}"; do wait $pid; done`
}

// startClient runs a client where the arguments of `switchyard exec` say.
func (c *cluster) startClient(t *testing.T, name string, where []string, targets []traffic.Target) *traffic.Client {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return traffic.Start(t, name, c.command(append(append([]string{"exec"}, where...), "--", self)...), targets)
}
