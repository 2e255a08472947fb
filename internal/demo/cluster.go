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

package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/localcluster/control"
)

// stateVariable names the state directory to `switchyard`.
const stateVariable = "SWITCHYARD_STATE"

// Cluster is a local cluster started for the occasion, with a state directory
// of its own: it does not meet a cluster that is already up.
type Cluster struct {
	switchyard string
	state      string
}

// StartCluster runs `switchyard up` with the arguments, its progress going to
// out. switchyard is the path of the CLI.
func StartCluster(ctx context.Context, switchyard string, out io.Writer, args ...string) (*Cluster, error) {
	state, err := os.MkdirTemp("", "switchyard-demo-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{switchyard: switchyard, state: state}
	up := c.cli(ctx, append([]string{"up", "--keep-running", "--hints=false"}, args...)...)
	up.Stdout, up.Stderr = out, out
	// Interrupted, `up` takes down what it has made so far; give it the time.
	up.Cancel = func() error { return up.Process.Signal(os.Interrupt) }
	up.WaitDelay = 30 * time.Second
	if err := up.Run(); err != nil {
		return nil, fmt.Errorf("starting a local cluster: %w", joinErr(err, c.Stop()))
	}
	return c, nil
}

func joinErr(err, other error) error {
	if other == nil {
		return err
	}
	return fmt.Errorf("%w (and %w)", err, other)
}

// Stop ends the cluster and removes its state.
func (c *Cluster) Stop() error {
	out, err := c.cli(context.Background(), "down").CombinedOutput()
	if err != nil {
		return fmt.Errorf("ending the local cluster: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return os.RemoveAll(c.state)
}

// Command is a program of this machine in a place of the cluster.
func (c *Cluster) Command(ctx context.Context, place Place, argv ...string) (*exec.Cmd, error) {
	args := []string{"exec"}
	switch {
	case place.Pod != "":
		args = append(args, "-n", cmp.Or(place.Namespace, namespace), place.Pod)
	case place.Node != "":
		args = append(args, "--node", place.Node)
	default:
		args = append(args, "--outside")
	}
	return c.cli(ctx, append(append(args, "--"), argv...)...), nil
}

// Kubeconfig is the path of the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() (string, error) {
	out, err := c.cli(context.Background(), "kubeconfig").Output()
	if err != nil {
		return "", fmt.Errorf("asking for the kubeconfig: %w%s", err, stderrOf(err))
	}
	return strings.TrimSpace(string(out)), nil
}

// State is the cluster's state directory, for SWITCHYARD_STATE.
func (c *Cluster) State() string { return c.state }

// Bed is what the checks need of the cluster.
func (c *Cluster) Bed() (*Bed, error) {
	path, err := c.Kubeconfig()
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, err
	}
	typed, err := client.New(config, client.Options{})
	if err != nil {
		return nil, err
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Bed{Client: typed, Clientset: clientset, Command: c.Command, Status: c.Status, Switchyard: c.switchyard}, nil
}

func (c *Cluster) cli(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.switchyard, args...)
	cmd.Env = append(os.Environ(), stateVariable+"="+c.state)
	return cmd
}

// Status is what `switchyard status --processes` says of the cluster.
func (c *Cluster) Status(ctx context.Context) (control.Status, error) {
	var status control.Status
	out, err := c.cli(ctx, "status", "--processes", "-o", "json").Output()
	if err != nil {
		return status, fmt.Errorf("asking for the cluster's status: %w%s", err, stderrOf(err))
	}
	return status, json.Unmarshal(out, &status)
}
