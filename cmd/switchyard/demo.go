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
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"switchyard.dev/switchyard/internal/demo"
)

func demoCommand() *cobra.Command {
	var nodes int
	var keep bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Apply the samples to a fresh local cluster and check each with real connections",
		Long: `Start a local cluster of its own (one that is already up is not touched), apply
the manifests of config/samples, and check each of them with real connections
from pods, nodes and outside. A line per check; exit code 1 if one of them failed.`,
		Args: nothing,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			cluster, err := demo.StartCluster(c.Context(), self, c.OutOrStdout(), "--nodes", strconv.Itoa(nodes))
			if err != nil {
				return err
			}
			if keep {
				defer fmt.Fprintf(c.OutOrStdout(), "\nThe cluster is still up. To end it: SWITCHYARD_STATE=%s %s down\n", cluster.State(), self)
			} else {
				defer func() { err = errors.Join(err, cluster.Stop()) }()
			}
			bed, err := cluster.Bed()
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout())
			failed, err := demo.Run(c.Context(), bed, c.OutOrStdout(), term.IsTerminal(int(os.Stdout.Fd())))
			if err == nil && failed > 0 {
				err = fmt.Errorf("%d checks failed", failed)
			}
			return err
		},
	}
	c.Flags().IntVar(&nodes, "nodes", 2, "how many nodes the cluster has")
	c.Flags().BoolVar(&keep, "keep", false, "leave the cluster up")
	return c
}
