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
	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/localcluster"
)

func logsCommand() *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use:   "logs COMPONENT",
		Short: "Print the log of a process of the local cluster",
		Long: `Print the log of one of the local cluster's processes, as ` + "`switchyard status`" + `
names them, or of its supervisor. Pods have theirs in kubectl logs.`,
		Example: "  switchyard logs switchyard-node@node-1 -f",
		Args:    exactly("COMPONENT"),
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "Go on as the log grows.")
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		dir, err := stateDir()
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return localcluster.LogNames(dir), cobra.ShellCompDirectiveNoFileComp
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		dir, err := stateDir()
		if err != nil {
			return err
		}
		return localcluster.Logs(c.Context(), dir, args[0], follow, c.OutOrStdout())
	}
	return c
}
