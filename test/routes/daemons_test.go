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

package routes

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"switchyard.dev/switchyard/internal/routes"
	"switchyard.dev/switchyard/test/prereq"
	"switchyard.dev/switchyard/test/testenv/process"
)

// daemon is a node's.
type daemon interface {
	// start runs it with the configuration of the documentation.
	start()
	// crash ends it at once.
	crash()
	// hang stops what speaks BGP, until resume.
	hang()
	resume()
	options() routes.Options
}

func newDaemon(n *node, kind string) daemon {
	n.Helper()
	if kind == routes.FRR {
		return newFRR(n)
	}
	return &birdNode{node: n, directory: n.directory("bird")}
}

// birdNode is a BIRD that sees its own /run, where its snippet is.
type birdNode struct {
	*node
	directory string
	process   *process.Process
}

func (b *birdNode) start() {
	b.Helper()
	// The agent's directory is at the place that the configuration names.
	const script = `mount -t tmpfs tmpfs /run && mkdir /run/switchyard-routes && mount --bind "$1" /run/switchyard-routes && exec bird -f -c "$2" -s "$1/bird.ctl"`
	b.process = b.world.start(b.ns, "unshare", "-m", "sh", "-c", script, "sh", b.directory, b.example("bird.conf"))
}

func (b *birdNode) crash()  { b.process.Kill() }
func (b *birdNode) hang()   { b.process.Signal(syscall.SIGSTOP) }
func (b *birdNode) resume() { b.process.Signal(syscall.SIGCONT) }

func (b *birdNode) options() routes.Options {
	return routes.Options{Daemon: routes.BIRD, File: b.directory + "/bird.conf", Command: "birdc -s " + b.directory + "/bird.ctl"}
}

// frrNode is the daemons of FRR that the configuration is for.
type frrNode struct {
	*node
	directory string
	user      string
	all       []*process.Process
	bgpd      *process.Process
}

func newFRR(n *node) daemon {
	n.Helper()
	prereq.Tool(n, "vtysh", "frr")
	f := &frrNode{node: n, directory: n.directory("frr"), user: "frr"}
	u, err := user.Lookup(f.user)
	if err != nil {
		n.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(f.directory, uid, gid); err != nil {
		n.Skipf("FRR changes to a user of its own, which needs root outside of a user namespace: %v", err)
	}
	return f
}

func (f *frrNode) start() {
	f.Helper()
	f.run("zebra")
	f.run("bfdd", "--bfdctl", f.directory+"/bfdd.sock")
	f.bgpd = f.run("bgpd", "-p", "179")
	for _, name := range []string{"zebra", "bfdd", "bgpd"} {
		f.await(name, func() bool { _, err := os.Stat(f.directory + "/" + name + ".vty"); return err == nil })
	}
	vtysh := strings.Fields(f.options().Command)
	out, err := exec.CommandContext(f.Context(), vtysh[0], append(vtysh[1:], "-f", f.example("frr.conf"))...).CombinedOutput()
	if err != nil {
		f.Fatalf("frr.conf: %v\n%s", err, out)
	}
}

func (f *frrNode) run(name string, args ...string) *process.Process {
	f.Helper()
	_ = os.Remove(f.directory + "/" + name + ".vty") // of one that crashed
	p := f.world.start(f.ns, "/usr/lib/frr/"+name, append([]string{
		"-u", f.user, "-g", f.user, "-i", f.directory + "/" + name + ".pid", "-z", f.directory + "/zserv.api", "--vty_socket", f.directory, "-P", "0",
	}, args...)...)
	f.all = append(f.all, p)
	return p
}

func (f *frrNode) crash() {
	for _, p := range f.all {
		p.Kill()
	}
	f.all = nil
}

func (f *frrNode) options() routes.Options {
	return routes.Options{Daemon: routes.FRR, File: f.directory + "/frr.conf", Command: "vtysh --vty_socket " + f.directory}
}

// hang leaves the node's BFD as it is.
func (f *frrNode) hang()   { f.bgpd.Signal(syscall.SIGSTOP) }
func (f *frrNode) resume() { f.bgpd.Signal(syscall.SIGCONT) }

// metrics are the last that an announcer said.
type metrics struct {
	mu      sync.Mutex
	pending bool
	failed  int
}

func (m *metrics) Announced(_, _ int) {}

func (m *metrics) Pending(pending bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending = pending
}

func (m *metrics) Told(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.failed++
	}
}

func (m *metrics) isPending() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pending
}
