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
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/localcluster"
	"switchyard.dev/switchyard/internal/localcluster/control"
)

func statusCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the local cluster's nodes and processes",
		Args:  cobra.NoArgs,
	}
	c.Flags().StringVarP(&output, "output", "o", "", "Output `format`: json, or nothing for a table.")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if output != "" && output != "json" {
			return fmt.Errorf("unknown output format %q: use json, or leave it out", output)
		}
		dir, err := stateDir()
		if err != nil {
			return err
		}
		status, err := localcluster.Status(c.Context(), dir)
		if err != nil {
			return err
		}
		if output == "json" {
			encoder := json.NewEncoder(c.OutOrStdout())
			encoder.SetIndent("", "  ")
			return encoder.Encode(status)
		}
		return printStatus(c.OutOrStdout(), status, time.Now())
	}
	return c
}

func printStatus(out io.Writer, status control.Status, now time.Time) error {
	state := "ready"
	if !status.Ready {
		state = "starting"
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintf(table, "The cluster is %s (pid %d), its API server at %s.\n\n", state, status.PID, status.Server)
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
