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
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"switchyard.dev/switchyard/cmd/node/app"
	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/trace"
)

// Exit codes of trace, as those of diff(1).
const (
	exitDisagrees = 1
	exitTrouble   = 2
)

// traceOptions are what `switchyard trace` can be told beside the agent's flags.
type traceOptions struct {
	trace.Query
	cluster  clusterFlags
	protocol string
	system   string
	agentURL string
	output   string
	live     bool
	netns    string
	timeout  time.Duration
}

func traceCommand() *cobra.Command {
	var o traceOptions
	c := &cobra.Command{
		Use:   "trace --from {POD | NAMESPACE/POD | NODE | IP} --to HOST:PORT",
		Short: "Say what becomes of a connection, step by step, and why",
		Long: `Say what becomes of a connection: whose address it goes to, which endpoints may
get it and why the others may not, whether they see the client's address, or why
it is refused or dropped. The answer comes from the code that the node agent
programs by.

HOST is an IP address, a Service (web, web.shop, web.shop.svc.cluster.local) or
a node. PORT is a number, or the name of a port of the Service. The settings of
the agent are asked of it where it can be reached; flags with the names that the
agent has stand in for it, or win over it.

With --live the connection is really made, and followed through the kernel: all
tables that it crossed, where it was sent, and who dropped it.

Exit codes: 0 explained, and with --live confirmed; 1 the kernel did otherwise
than explained; 2 the question could not be answered.`,
		Example: `  switchyard trace --from web-6d4cf56db6-x7x2z --to shop.default:http
  switchyard trace --from outside --to node-1:31000 --live
  switchyard trace --from 203.0.113.9 --to 192.0.2.1:443 --node worker-3`,
		Args: nothing,
	}
	o.addFlags(c)
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &exitError{code: exitTrouble, err: fmt.Errorf("%w: `%s --help` lists the flags", explainFlag(err), c.CommandPath())}
	})
	c.RunE = func(c *cobra.Command, _ []string) error {
		err := o.run(c)
		if _, is := errors.AsType[*exitError](err); err != nil && !is {
			return &exitError{code: exitTrouble, err: err}
		}
		return err
	}
	return c
}

func (o *traceOptions) addFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&o.From, "from", "", "Client: a pod, NAMESPACE/POD, a node, an IP address, or outside in a local cluster.")
	flags.StringVar(&o.To, "to", "", "Destination: HOST:PORT.")
	flags.StringVar(&o.protocol, "proto", "", "tcp, udp or sctp; without it that of the Service's port, or tcp.")
	flags.StringVarP(&o.Namespace, "namespace", "n", "default", "Namespace of a pod or Service given without one.")
	flags.StringVar(&o.Node, "node", "", "Node to look from, if not the client's or the one that has or announces the destination.")
	flags.StringVar(&o.Domain, "cluster-domain", layout.ClusterDomain, "The cluster's DNS domain.")
	flags.StringVar(&o.cluster.kubeconfig, "kubeconfig", "", kubeconfigHelp)
	flags.StringVar(&o.system, "manager-namespace", "switchyard-system", "Namespace of switchyard-manager, where claims of addresses are.")
	flags.StringVar(&o.agentURL, "agent-url", "", "Metrics server of the node's agent, if it is not at 127.0.0.1:10249 there.")
	flags.StringVarP(&o.output, "output", "o", "", "json, or nothing for text.")
	flags.BoolVar(&o.live, "live", false, "Make the connection, and follow it through the kernel.")
	flags.StringVar(&o.netns, "netns", "", "With --live on a node of another cluster: path of the pod's network namespace.")
	flags.DurationVar(&o.timeout, "timeout", 2*time.Second, "With --live: how long to wait for the connection.")
	app.AddViewFlags(flags)
}

// validate settles what depends on the flags alone.
func (o *traceOptions) validate() error {
	if o.From == "" || o.To == "" {
		return errors.New("say from where to where: `switchyard trace --from POD --to HOST:PORT`")
	}
	if o.output != "" && o.output != "json" {
		return fmt.Errorf("unknown output format %q: use json, or leave it out", o.output)
	}
	if o.timeout <= 0 {
		return fmt.Errorf("--timeout %v: the time must be positive", o.timeout)
	}
	switch protocol := corev1.Protocol(strings.ToUpper(o.protocol)); protocol {
	case "", corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP:
		o.Protocol = protocol
		return nil
	}
	return fmt.Errorf("--proto %q: want tcp, udp or sctp", o.protocol)
}

func (o *traceOptions) run(c *cobra.Command) error {
	if err := o.validate(); err != nil {
		return err
	}
	cluster, err := o.cluster.reach()
	if err != nil {
		return err
	}
	o.Outside = cluster.outside()
	_, config, err := o.cluster.clientOf(cluster)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	objects, err := trace.Read(c.Context(), client, o.system)
	if err != nil {
		return readingError(err, config.Host)
	}
	asked, err := objects.Find(o.Query)
	if err != nil {
		return err
	}
	settings, err := agentOn{cluster, client, objects, asked.Node, o.agentURL}.settings(c.Context(), c.Flags())
	if err != nil {
		return err
	}
	answers, err := o.answers(c.Context(), cluster, objects, asked, settings)
	if err != nil {
		return err
	}
	return o.print(c, answers)
}

// answers has one for each address that was meant.
func (o *traceOptions) answers(
	ctx context.Context, cluster reach, objects trace.Objects, asked trace.Asked, settings trace.Settings,
) (answers []trace.Answer, err error) {
	for _, to := range asked.Destinations {
		answer, err := objects.Explain(asked, to, settings)
		if err != nil {
			return nil, err
		}
		if o.live {
			if answer.Live, err = o.try(ctx, cluster, objects, asked, answer); err != nil {
				return nil, fmt.Errorf("--live: %w", err)
			}
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

func (o *traceOptions) print(c *cobra.Command, answers []trace.Answer) error {
	var err error
	if o.output == "json" {
		encoder := json.NewEncoder(c.OutOrStdout())
		encoder.SetIndent("", "  ")
		err = encoder.Encode(answers)
	} else {
		for i, answer := range answers {
			if i > 0 {
				_, _ = fmt.Fprintln(c.OutOrStdout())
			}
			_, err = fmt.Fprint(c.OutOrStdout(), answer.Text())
		}
	}
	if err != nil {
		return err
	}
	for _, answer := range answers {
		if answer.Live != nil && answer.Live.Disagreement != "" {
			return &exitError{code: exitDisagrees, err: errors.New("the kernel did otherwise than explained: " + answer.Live.Happened)}
		}
	}
	return nil
}

// followCommand is the part of trace --live in the node's network.
func followCommand() *cobra.Command {
	return &cobra.Command{
		Use:    trace.FollowCommand,
		Hidden: true,
		Args:   cobra.RangeArgs(2, 3),
		RunE: func(c *cobra.Command, args []string) error {
			flow, err := trace.ParseFlow(args)
			if err != nil {
				return err
			}
			return trace.Follow(c.Context(), flow, c.InOrStdin(), c.OutOrStdout())
		},
	}
}

// outside are the addresses of who is outside of a local cluster's nodes.
func (r reach) outside() []netip.Addr {
	if r.local == nil {
		return nil
	}
	cluster, err := layout.New(1, nil)
	if err != nil {
		return nil
	}
	return cluster.Gateways()
}
