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

package install

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"switchyard.dev/switchyard/internal/demo"
	"switchyard.dev/switchyard/test/docs/page"
	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/test/testenv/rights"
)

// overlay is one way to install.
type overlay struct {
	name string
	// cluster are the arguments of the cluster that it is for.
	cluster []string
	// agents tells that it has some.
	agents bool
}

var overlays = []overlay{
	{name: "stock", cluster: []string{"--kube-proxy=nftables"}},
	{name: "node", agents: true},
	{name: "full", cluster: []string{"--endpoint-controllers=off"}, agents: true},
}

// pages have commands that this test takes: to install on a local cluster, to take
// away the rights of overlay full, and to go over from CoreDNS.
type pages struct{ local, install, dns *page.Given }

func TestOverlays(t *testing.T) {
	t.Parallel()
	var installed atomic.Int32
	p := pages{page.RunBy(t, "docs/local-cluster.md"), page.RunBy(t, "docs/install.md"), page.RunBy(t, "docs/dns.md")}
	t.Run("on", func(t *testing.T) {
		for _, o := range overlays {
			t.Run(o.name, func(t *testing.T) {
				t.Parallel()
				c := o.install(t, p)
				installed.Add(1)
				o.test(t, c, p)
			})
		}
	})
	logs, err := os.ReadDir(judged)
	if err != nil {
		t.Fatal(err)
	}
	if int(installed.Load()) < len(overlays) {
		t.Log("The rights in use are not judged: not all overlays were to be installed, or could be")
		return
	}
	if len(logs) != len(overlays) {
		t.Fatalf("the rights in use can not be judged: of %d overlays %d came to the end", len(overlays), len(logs))
	}
	rights.WantAsked(t, "test/install", judged)
}

// test judges the manifests as they are shipped by all that needs nothing else, and
// then what needs options.
func (o overlay) test(t *testing.T, c *cluster, p pages) {
	t.Helper()
	c.run(t, "apply", "--server-side", "-f", filepath.Join(testenv.Root(), "dist", "install-dns.yaml"))
	workloads, pods := []string{"deployment/switchyard-manager"}, 2
	if o.agents {
		workloads, pods = append(workloads, "daemonset/switchyard-node"), 4
	}
	c.rolledOut(t, namespace, workloads...)
	c.rolledOut(t, "kube-system", "daemonset/switchyard-dns")
	c.managersApart(t)
	c.admits(t)
	if err := c.bed.ApplySamples(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.check(t, func(name string) bool { return !needsOptions(name) })
	c.rights(t, o.name, namespace, "switchyard-manager")
	if o.agents {
		c.rights(t, o.name, namespace, "switchyard-node")
	}
	c.rights(t, o.name, "kube-system", "switchyard-dns")
	c.nothingForbidden(t, namespace, pods)
	c.nothingForbidden(t, "kube-system", 2)
	if o.agents {
		c.keepsSettings(t, filepath.Join("dist", "install-"+o.name+".yaml"))
		c.undisturbed(t, 0, func() {
			c.apply(t, o.name)
			c.rolledOut(t, namespace, workloads...)
		})
		c.check(t, needsOptions)
		c.rights(t, "announcing", namespace, "switchyard-node")
		c.nothingForbidden(t, namespace, pods)
	}
	switch o.name {
	case "stock":
		c.admitsAgents(t)
		c.withoutCoreDNS(t, p.dns.Next(t))
	case "full":
		c.withoutEndpoints(t, p.install.Next(t))
	}
	c.judge(t)
}

// needsOptions tells of the checks that a cluster of our own has all features for with
// options alone.
func needsOptions(check string) bool { return strings.HasPrefix(check, "LoadBalancer") }

// check makes some of the checks of the demo.
func (c *cluster) check(t *testing.T, which func(name string) bool) {
	t.Helper()
	for _, check := range demo.Checks() {
		if which(check.Name) {
			t.Run(check.Name, func(t *testing.T) {
				seen, err := check.Run(t.Context(), c.bed)
				if err != nil {
					t.Fatal(err)
				}
				t.Log(seen)
			})
		}
	}
}

// install starts a cluster and installs the overlay, as docs/local-cluster.md
// does with one of them.
func (o overlay) install(t *testing.T, p pages) *cluster {
	t.Helper()
	manifests := filepath.Join("dist", "install-"+o.name+".yaml")
	if o.name == "node" {
		up, rest, _ := strings.Cut(p.local.Next(t).Text(), "\n")
		flags, isUp := strings.CutPrefix(up, "switchyard up --keep-running ")
		if !isUp || !strings.Contains(rest, manifests) {
			t.Fatalf("the page does not start a cluster and install %s:\n%s\n%s", manifests, up, rest)
		}
		c := startCluster(t, strings.Fields(strings.ReplaceAll(flags, "dist/switchyard-image.tar", theImage(t)))...)
		c.shell(t, rest)
		return c
	}
	c := newCluster(t, o.cluster...)
	if o.agents {
		c.pointAtAPIServer(t)
	}
	c.run(t, "apply", "--server-side", "-f", filepath.Join(testenv.Root(), manifests))
	return c
}

// withoutCoreDNS goes over from what has the name of its Deployment, as the page says.
func (c *cluster) withoutCoreDNS(t *testing.T, commands page.Block) {
	t.Helper()
	c.run(t, "-n", "kube-system", "create", "deployment", "coredns", "--image=any")
	c.shell(t, commands.Text())
	if got := c.run(t, "-n", "kube-system", "get", "deployment", "coredns", "-o", "jsonpath={.spec.replicas}"); got != "0" {
		t.Errorf("coredns has %s replicas", got)
	}
}

// withoutEndpoints goes from overlay full to node, as docs/install.md says, and
// expects the rights of node.
func (c *cluster) withoutEndpoints(t *testing.T, commands page.Block) {
	t.Helper()
	c.apply(t, "node")
	c.rolledOut(t, namespace, "deployment/switchyard-manager")
	c.shell(t, commands.Text())
	c.rights(t, "node", namespace, "switchyard-manager")
}

// admits waits until the API server asks the webhooks: changes are let pass while
// nobody serves them. The server's own answer names no holder.
func (c *cluster) admits(t *testing.T) {
	t.Helper()
	c.run(t, "-n", "default", "create", "service", "nodeport", "holder", "--tcp=80", "--node-port=32000")
	defer c.run(t, "-n", "default", "delete", "service", "holder")
	await(t, "a NodePort is denied with the name of its holder", func() error {
		_, err := c.try(t.Context(), "", "-n", "default", "create", "service", "nodeport", "other", "--tcp=80", "--node-port=32000", "--dry-run=server")
		if err == nil || !strings.Contains(err.Error(), "held by Service default/holder") {
			return fmt.Errorf("the answer was: %v", err)
		}
		return nil
	})
}
