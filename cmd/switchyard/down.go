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
	"fmt"

	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/localcluster"
)

func downCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End the local cluster and remove everything it made",
		Long: `End the local cluster, wait until all of its processes are gone, and remove its
state directory. This works after a crash, too.`,
		Args: nothing,
		RunE: func(c *cobra.Command, _ []string) error {
			dir, err := stateDir()
			if err != nil {
				return err
			}
			found, err := localcluster.Down(c.Context(), dir)
			if err != nil {
				return err
			}
			text := "The cluster is gone."
			if !found {
				text = "No local cluster is running: nothing to do."
			}
			_, _ = fmt.Fprintln(c.OutOrStdout(), text)
			return nil
		},
	}
}
