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
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/demo"
	"switchyard.dev/switchyard/test/prereq"
	"switchyard.dev/switchyard/test/testenv"
)

const namespace = "switchyard-system"

// patience bounds every wait: a machine of two slow cores takes minutes for what
// others do in seconds.
const patience = 5 * time.Minute

// cluster is a stock cluster, whose nodes have the image.
type cluster struct {
	*demo.Cluster
	bed        *demo.Bed
	kubectl    string
	kubeconfig string
}

func newCluster(t *testing.T, args ...string) *cluster {
	t.Helper()
	return startCluster(t, append([]string{"--suite=none", "--image=" + theImage(t)}, args...)...)
}

func theImage(t *testing.T) string {
	t.Helper()
	prereq.Root(t)
	prereq.Tool(t, "curl", "curl")
	archive, err := imageArchive()
	if err != nil {
		t.Fatalf("assembling the image: %v", err)
	}
	return archive
}

func startCluster(t *testing.T, args ...string) *cluster {
	t.Helper()
	started, err := demo.StartCluster(t.Context(), filepath.Join(testenv.Root(), "bin", "switchyard"), os.Stderr, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
	})
	assets, err := testenv.Assets()
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{Cluster: started, kubectl: filepath.Join(assets, "kubectl")}
	if c.kubeconfig, err = started.Kubeconfig(); err != nil {
		t.Fatal(err)
	}
	if c.bed, err = started.Bed(); err != nil {
		t.Fatal(err)
	}
	c.bed.Agent, c.bed.Patience = c.agent, patience
	return c
}

// try runs kubectl and gives what it printed.
func (c *cluster) try(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.kubectl, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

func (c *cluster) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.try(t.Context(), "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// shell runs commands of a page, as somebody at the top of the repository would.
func (c *cluster) shell(t *testing.T, commands string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = testenv.Root()
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig, "PATH="+filepath.Dir(c.kubectl)+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\nwhich printed\n%s", err, commands, out)
	}
}

// apply applies a kustomization of this folder.
func (c *cluster) apply(t *testing.T, options string) {
	t.Helper()
	if _, err := c.try(t.Context(), render(t, filepath.Join("options", options)), "apply", "--server-side", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// render is what a kustomization comes to.
func render(t *testing.T, kustomization string) string {
	t.Helper()
	build := exec.CommandContext(t.Context(), "go", "tool", "kustomize", "build", kustomization)
	var stderr bytes.Buffer
	build.Stderr = &stderr
	manifests, err := build.Output()
	if err != nil {
		t.Fatalf("rendering %s: %v: %s", kustomization, err, stderr.String())
	}
	return string(manifests)
}

// rolledOut waits for workloads, which are written as kind/name.
func (c *cluster) rolledOut(t *testing.T, namespace string, workloads ...string) {
	t.Helper()
	for _, workload := range workloads {
		if _, err := c.try(t.Context(), "", "-n", namespace, "rollout", "status", workload, "--timeout="+patience.String()); err != nil {
			pods, _ := c.try(t.Context(), "", "-n", namespace, "get", "pods", "-o", "wide")
			events, _ := c.try(t.Context(), "", "-n", namespace, "get", "events")
			logs, _ := c.try(t.Context(), "", "-n", namespace, "logs", workload, "--all-containers", "--all-pods", "--tail=20")
			t.Fatalf("%v\n%s\n%s\n%s", err, pods, events, logs)
		}
	}
}

// pointAtAPIServer tells the programs where the API server is without a Service,
// which is for them to make work.
func (c *cluster) pointAtAPIServer(t *testing.T) {
	t.Helper()
	address := c.run(t, "-n", "default", "get", "endpoints", "kubernetes", "-o", "jsonpath={.subsets[0].addresses[0].ip}")
	port := c.run(t, "-n", "default", "get", "endpoints", "kubernetes", "-o", "jsonpath={.subsets[0].ports[0].port}")
	c.run(t, "create", "namespace", namespace)
	c.run(t, "-n", namespace, "create", "configmap", "switchyard-apiserver",
		"--from-literal=KUBERNETES_SERVICE_HOST="+address, "--from-literal=KUBERNETES_SERVICE_PORT="+port)
}

// await polls for what happens in other programs.
func await(t *testing.T, what string, condition func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err = condition(); err == nil {
			return
		}
	}
	t.Fatalf("waited in vain: %s: %v", what, err)
}
