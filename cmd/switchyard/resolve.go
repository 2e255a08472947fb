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
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/resolve"
)

// resolveCommand asks from where it is run, so it goes behind
// `switchyard exec`.
func resolveCommand() *cobra.Command {
	var request resolve.Request
	var output string
	c := &cobra.Command{
		Use:   "resolve NAME|ADDRESS",
		Short: "Ask DNS for a name as a pod's program would",
		Long: `Ask DNS for a name as /etc/resolv.conf says, with its search list, and say what
was found and who answered. To do so from a pod of the local cluster:

  switchyard exec POD -- switchyard resolve web
  switchyard exec POD -- switchyard resolve _http._tcp.web --type SRV
  switchyard exec POD -- switchyard resolve 10.96.0.1

The exit code is 1 if there are no such records; with -o json it is 0, and the
last answer has none. What they should be says
` + "`switchyard records`" + `, for any cluster.`,
		Args: exactly("NAME or ADDRESS"),
		RunE: func(c *cobra.Command, args []string) error {
			request.Name = args[0]
			if output != "" && output != "json" {
				return fmt.Errorf("output %q: want json or nothing", output)
			}
			answers, err := resolve.Run(c.Context(), request)
			if output == "json" && err == nil {
				return json.NewEncoder(c.OutOrStdout()).Encode(answers)
			}
			if printed := printResolved(c.OutOrStdout(), answers); printed != nil {
				return printed
			}
			if err == nil && !answers[len(answers)-1].Found() {
				err = fmt.Errorf("%s: nothing found in %d answers", request.Name, len(answers))
			}
			return err
		},
	}
	flags := c.Flags()
	flags.StringVar(&request.Type, "type", "", "type of records; without it A, and PTR for an address")
	flags.StringVar(&request.Server, "server", "", "ask this address in place of the servers of /etc/resolv.conf")
	flags.BoolVar(&request.TCP, "tcp", false, "ask over TCP")
	flags.DurationVar(&request.Timeout, "timeout", 2*time.Second, "how long to wait for each server")
	flags.StringVarP(&output, "output", "o", "", "json for machines")
	return c
}

// printResolved is a line for each record, and for each name that has none.
func printResolved(out io.Writer, answers []resolve.Answer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, a := range answers {
		if !a.Found() {
			fmt.Fprintf(table, "%s\t%d\t%s\t\tfrom %s %s\n", a.Name, a.DeniedFor, a.Code, a.Network, a.Server)
		}
		for _, r := range a.Records {
			fmt.Fprintf(table, "%s\t%d\t%s\t%s\tfrom %s %s\n", r.Name, r.TTL, r.Type, r.Data, a.Network, a.Server)
		}
	}
	return table.Flush()
}
