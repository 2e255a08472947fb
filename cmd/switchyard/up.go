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

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"switchyard.dev/switchyard/internal/localcluster"
	"switchyard.dev/switchyard/internal/localcluster/software"
	"switchyard.dev/switchyard/internal/localcluster/state"
)

func upCommand() *cobra.Command {
	var o localcluster.UpOptions
	var hints bool
	o.Defaults()
	c := &cobra.Command{
		Use:   "up",
		Short: "Start a local cluster with Switchyard in it",
		Long: `Start a local cluster: a real control plane, nodes and pods as network
namespaces, and the whole suite. It stays until Ctrl-C, or with --keep-running
until ` + "`switchyard down`" + `. If one is running already, this says so; the exit code
is 0 if that one has the nodes, zones and software asked for.

With --suite=none it is a cluster that Switchyard is not on, as to try an
installation: docs/local-cluster.md, "A cluster without Switchyard".

The state directory is $SWITCHYARD_STATE, or else /run/switchyard for root and
$XDG_RUNTIME_DIR/switchyard for others (~/.local/state/switchyard without that).`,
		Args: nothing,
	}
	flags := c.Flags()
	flags.IntVar(&o.Nodes, "nodes", o.Nodes, "Number of nodes.")
	flags.StringSliceVar(&o.Zones, "zones", nil, "Zones to deal out to the nodes as topology.kubernetes.io/zone, for example a,b.")
	flags.IntVar(&o.Port, "port", 0, "Port of the API server on 127.0.0.1; without it 6443, or the next free one.")
	flags.BoolVar(&o.KeepRunning, "keep-running", false, "Return when the cluster is ready, and leave it running.")
	flags.DurationVar(&o.Wait, "wait", o.Wait, "How long the cluster may take to become ready.")
	flags.StringArrayVar(&o.Images, "image", nil, "OCI archive, as of make image: pods of its image run it, those of others are echo servers. May be given again.")
	chooseSoftware(flags, &o.Software)
	// For the demo, whose cluster is not for typing.
	flags.BoolVar(&hints, "hints", true, "Say what to type next.")
	_ = flags.MarkHidden("hints")
	c.RunE = func(c *cobra.Command, _ []string) error {
		dir, err := stateDir()
		if err != nil {
			return err
		}
		o.Out, o.Terminal = c.OutOrStdout(), term.IsTerminal(int(os.Stdout.Fd()))
		return up(c, dir, o, hints)
	}
	return c
}

// softwareFlags are those of chooseSoftware.
var softwareFlags = []string{"suite", "endpoint-controllers", "kube-proxy"}

func chooseSoftware(flags *pflag.FlagSet, c *software.Choice) {
	flags.StringVar(&c.Suite, softwareFlags[0], "", "Switchyard itself: processes of the nodes, or none. (default processes)")
	flags.StringVar(&c.EndpointControllers, softwareFlags[1], "", "kube-controller-manager's endpoint controllers, with --suite=none: on or off. (default on)")
	flags.StringVar(&c.KubeProxy, softwareFlags[2], "", "kube-proxy, with --suite=none: none, iptables or nftables. (default none)")
}

func up(c *cobra.Command, dir state.Dir, o localcluster.UpOptions, hints bool) error {
	err := localcluster.Up(c.Context(), dir, o, func(took time.Duration) {
		_, _ = fmt.Fprintf(o.Out, "Ready in %.1fs.\n", took.Seconds())
		if hints {
			sayHints(o.Out, dir, o.Software.Complete().WithSuite())
		}
		if !o.KeepRunning {
			_, _ = fmt.Fprintln(o.Out, "\nThe cluster ends with Ctrl-C.")
		}
	})
	if running, is := errors.AsType[*localcluster.RunningError](err); is {
		return sayRunning(c, o, running)
	}
	if err == nil && !o.KeepRunning {
		_, _ = fmt.Fprintln(o.Out, "The cluster is gone.")
	}
	return err
}

// sayRunning is content with a cluster that is what was asked for, as far as
// anything was asked for.
func sayRunning(c *cobra.Command, o localcluster.UpOptions, running *localcluster.RunningError) error {
	nodes, zones, chosen := running.Record.Nodes, running.Record.Zones, running.Record.Software
	if c.Flags().Changed("nodes") {
		nodes = o.Nodes
	}
	if c.Flags().Changed("zones") {
		zones = o.Zones
	}
	if slices.ContainsFunc(softwareFlags, c.Flags().Changed) {
		chosen = o.Software.Complete()
	}
	// Which images it has is not known; who names one means to try that one.
	if c.Flags().Changed("image") || !running.Fits(nodes, zones, chosen) {
		return running
	}
	_, _ = fmt.Fprintf(o.Out, "A cluster of %d nodes is running already (pid %d).\n\n  export KUBECONFIG=%s\n\n`%s down` ends it.\n",
		running.Record.Nodes, running.Record.PID, running.Kubeconfig, program())
	return nil
}

func sayHints(out io.Writer, dir state.Dir, withSuite bool) {
	me := program()
	_, _ = fmt.Fprintf(out, "\n  export KUBECONFIG=%s\n%s\n", dir.Kubeconfig(), kubectlHint())
	if withSuite {
		sayWhatToTry(out, me)
	}
	_, _ = fmt.Fprintf(out, "`%s down` ends the cluster and removes everything it made.\n", me)
}

func sayWhatToTry(out io.Writer, me string) {
	_, _ = fmt.Fprintf(out, `Five things to try:

  kubectl create deployment web --image=any --port=80 --replicas=2 && kubectl expose deployment web --type=LoadBalancer
  %s resolve web
  %s exec --outside -- %s probe --count 6 $(kubectl get service web -o jsonpath='{.status.loadBalancer.ingress[0].ip}'):80
  %s trace --from node-1 --to web:80 --live
  for s in one two; do kubectl create service nodeport $s --tcp=80 --node-port=31000; done

`, me, me, me, me)
}

// program is this program as the user calls it.
func program() string { return os.Args[0] }

// kubectlHint names the kubectl beside this program if the machine has none.
func kubectlHint() string {
	if _, err := exec.LookPath("kubectl"); err == nil {
		return ""
	}
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("  alias kubectl=%s\n", filepath.Join(filepath.Dir(self), "k8s", "kubectl"))
}
