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
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/localcluster"
	"switchyard.dev/switchyard/internal/localcluster/control"
	"switchyard.dev/switchyard/internal/localcluster/supervisor"
	"switchyard.dev/switchyard/internal/status"
)

// agentsAsked is how many agents are asked if nobody says.
const agentsAsked = 50

type statusOptions struct {
	inventoryOptions
	limits    status.Limits
	all       bool
	processes bool
}

func statusCommand() *cobra.Command {
	var o statusOptions
	c := &cobra.Command{
		Use:   "status",
		Short: "Say how Switchyard does in a cluster, and what to look after",
		Long: `Say what runs in which version, how far each node's agent is and what it has
repaired, what the API server knows of the webhooks, which pools are nearly full,
and how many Services are not reachable; then a warning for each thing that somebody
has to look after, with what to do. The last line is "All is well." or says how many
warnings there are. Of the local cluster also its nodes and processes are shown.

Agents are asked through the kubelet, as by kubectl port-forward: it takes the right
to create pods/portforward in the namespace of the manager. Without it the rest is
told. Of many nodes 50 are asked, those that seem to have trouble first.

Exit codes: 0 all is well; 1 there are warnings; 2 there are none, but not all that
it takes to know could be seen, or the cluster could not be asked.`,
		Example: `  switchyard status
  switchyard status --nodes node-7,node-8
  switchyard status -o json | jq -r '.warnings[] | .kind'`,
		Args:              arguments(nothing),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.addFlags(c)
	c.Flags().StringSliceVar(&o.limits.Nodes, "nodes", nil, "Ask the agents of these nodes alone.")
	c.Flags().BoolVar(&o.all, "all", false, "Ask the agents of all nodes, however many there are.")
	c.Flags().DurationVar(&o.limits.Each, "agent-timeout", 5*time.Second, "How long one agent may take to answer.")
	c.Flags().BoolVar(&o.processes, "processes", false, "Show the nodes and processes of the local cluster, and nothing else.")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if o.processes {
			return trouble(o.printProcesses(c))
		}
		return trouble(o.status(c.Context(), c.OutOrStdout()))
	}
	return c
}

func (o *statusOptions) printProcesses(c *cobra.Command) error {
	if err := validOutput(o.output); err != nil {
		return err
	}
	dir, err := stateDir()
	if err != nil {
		return err
	}
	local, err := localcluster.Status(c.Context(), dir)
	if err != nil {
		return err
	}
	return o.write(c.OutOrStdout(), local, func(bool) error { return printStatus(c.OutOrStdout(), local, time.Now()) })
}

// wholeStatus is what machines get.
type wholeStatus struct {
	*status.Report
	// Local is absent for a cluster of somebody else's.
	Local *control.Status `json:"local,omitempty"`

	facts *status.Facts
}

func (o *statusOptions) status(ctx context.Context, out io.Writer) error {
	if err := o.validate(); err != nil {
		return err
	}
	if err := positive("agent-timeout", o.limits.Each); err != nil {
		return err
	}
	whole, err := o.ask(ctx)
	if err != nil {
		// Which processes run says most of why nothing can be asked.
		if whole.Local != nil && o.output == "" {
			_ = printStatus(out, *whole.Local, time.Now())
		}
		return err
	}
	err = o.write(out, whole, func(bool) error { return whole.print(out) })
	switch {
	case err != nil:
		return err
	case !whole.Well():
		return &exitError{code: exitFound}
	case whole.Partial():
		return &exitError{code: exitTrouble, err: errors.New("not all could be seen")}
	}
	return nil
}

func (s wholeStatus) print(out io.Writer) error {
	if err := s.Report.Print(out); err != nil {
		return err
	}
	if s.Local != nil {
		_, _ = fmt.Fprintln(out)
		if err := printStatus(out, *s.Local, time.Now()); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(out)
	}
	return s.PrintEnd(out)
}

// ask asks the cluster. With an error it may still say what runs in the local one.
func (o *statusOptions) ask(ctx context.Context) (whole wholeStatus, err error) {
	cluster, err := o.reach()
	if err != nil {
		return whole, err
	}
	var clock serverClock
	cluster.config.Wrap(clock.watch)
	asker := status.Asker{System: o.system, Limits: o.limits, Now: clock.now, Settle: settle}
	if cluster.local != nil {
		if local, err := localcluster.Status(ctx, *cluster.local); err == nil {
			whole.Local, asker.Local = &local, &local
			asker.ManagerPage = supervisor.ManagerMetricsPort
		}
	}
	reader, config, err := o.clientOf(cluster)
	if err != nil {
		return whole, err
	}
	asker.Reader, asker.Config = reader, config
	if !o.all && len(o.limits.Nodes) == 0 {
		asker.Limits.Most = agentsAsked
	}
	if asker.Tunnels, err = tunnelsInto(cluster); err != nil {
		return whole, err
	}
	// Not before the API server has answered something less.
	learnt := sync.OnceValues(func() (func() (*inventory.Index, error), error) { return o.look(ctx, inventory.Scope{}) })
	asker.Look = func() (*inventory.Index, error) {
		look, err := learnt()
		if err != nil {
			return nil, err
		}
		return look()
	}
	facts, err := asker.Ask(ctx)
	if _, is := errors.AsType[*status.NoNodeError](err); is {
		whole.Local = nil
		return whole, err
	}
	if err != nil {
		return whole, readingError(err, config.Host)
	}
	whole.facts, whole.Report = facts, facts.Report(clock.now())
	return whole, nil
}

func printStatus(out io.Writer, status control.Status, now time.Time) error {
	state := "ready"
	if !status.Ready {
		state = "starting"
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintf(table, "The local cluster is %s (pid %d), its API server at %s.\n\n", state, status.PID, status.Server)
	_, _ = fmt.Fprintln(table, "NODE\tZONE\tADDRESSES\tPODS")
	for _, n := range status.Nodes {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", n.Name, orDash(n.Zone), join(n.IPs), join(n.PodCIDRs))
	}
	_, _ = fmt.Fprintln(table, "\nPROCESS\tNODE\tPID\tRESTARTS\tSINCE\tLAST EXIT")
	for _, p := range status.Processes {
		pid := "down"
		if p.PID != 0 {
			pid = fmt.Sprint(p.PID)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", p.Name, p.Node, pid, p.Restarts, now.Sub(p.Since).Round(time.Second), orDash(p.LastExit))
	}
	return table.Flush()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func join[T fmt.Stringer](values []T) string {
	texts := make([]string, 0, len(values))
	for _, v := range values {
		texts = append(texts, v.String())
	}
	return strings.Join(texts, ",")
}
