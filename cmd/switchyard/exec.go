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

	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/localcluster"
	"switchyard.dev/switchyard/internal/localcluster/state"
)

// execOptions say in which network a program is to run: that of one pod, one
// node, or outside.
type execOptions struct {
	pod, namespace string
	node           string
	outside        bool
}

func execCommand() *cobra.Command {
	var o execOptions
	c := &cobra.Command{
		Use:   "exec {POD [-n NAMESPACE] | --node NODE | --outside} -- COMMAND [ARG...]",
		Short: "Run a program of this machine in a network of the local cluster",
		Long: `Run a program of this machine, such as curl, nc or tcpdump, in the network of a
pod or a node, or outside of the cluster's nodes. Everything but the network is
the machine's: files, working directory, terminal. In a pod's network, names
are resolved as in the pod.`,
		Example: `  switchyard exec web-6d4cf56db6-x7x2z -- curl -s http://10.96.12.7/hostname
  switchyard exec --node 2 -- nft list table ip switchyard
  switchyard exec --outside -- curl -s http://172.30.0.11:31000/clientip`,
	}
	c.Flags().StringVarP(&o.namespace, "namespace", "n", "default", "Namespace of the pod.")
	c.Flags().StringVar(&o.node, "node", "", "Node, by name or number.")
	c.Flags().BoolVar(&o.outside, "outside", false, "Outside of the cluster's nodes, on their network.")
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		dir, err := stateDir()
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return localcluster.PodNames(dir, o.namespace), cobra.ShellCompDirectiveNoFileComp
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		command, err := o.split(args, c.ArgsLenAtDash())
		if err != nil {
			return err
		}
		dir, err := stateDir()
		if err != nil {
			return err
		}
		network, err := o.network(c.Context(), dir)
		if err != nil {
			return err
		}
		return network.Exec(command)
	}
	return c
}

var errExecUsage = errors.New("say where and what to run: " +
	"`switchyard exec POD -- COMMAND`, `switchyard exec --node NODE -- COMMAND` or `switchyard exec --outside -- COMMAND`")

// split finds the pod and the command among the arguments; dash is how many
// are before the "--", or negative without one.
func (o *execOptions) split(args []string, dash int) ([]string, error) {
	inPod := o.node == "" && !o.outside
	before := 0
	if inPod {
		before = 1
	}
	if len(args) <= before || (dash >= 0 && dash != before) || (o.node != "" && o.outside) {
		return nil, errExecUsage
	}
	if inPod {
		o.pod = args[0]
	}
	return args[before:], nil
}

func (o *execOptions) network(ctx context.Context, dir state.Dir) (localcluster.Network, error) {
	switch {
	case o.outside:
		return localcluster.Outside(dir)
	case o.node != "":
		return localcluster.OfNode(dir, o.node)
	default:
		return localcluster.OfPod(ctx, dir, o.namespace, o.pod)
	}
}

// enterCommand is the second half of exec: see localcluster.Enter.
func enterCommand() *cobra.Command {
	resolvFD := -1
	c := &cobra.Command{
		Use:    localcluster.EnterCommand,
		Hidden: true,
		Args:   cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			code, err := localcluster.Enter(args, resolvFD)
			return &exitError{code: code, err: err}
		},
	}
	c.Flags().IntVar(&resolvFD, localcluster.ResolvFlag(), resolvFD, "Open file with the resolv.conf to use.")
	return c
}
