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
	"time"

	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/probe"
)

// probeCommand connects from where it is run, so it goes behind
// `switchyard exec`.
func probeCommand() *cobra.Command {
	request := probe.Request{}
	var output string
	c := &cobra.Command{
		Use:   "probe ADDRESS:PORT",
		Short: "Make connections and say what answered",
		Long: `Make connections to an address or a name, one after the other, and say what
answered each. To do so from a pod, a node or outside of the cluster:

  switchyard exec POD -- switchyard probe 10.96.12.34:80 --count 5
  switchyard exec POD -- switchyard probe web:80`,
		Args: exactly("ADDRESS:PORT"),
		RunE: func(c *cobra.Command, args []string) error {
			request.Address = args[0]
			if output != "" && output != "json" {
				return fmt.Errorf("output %q: want json or nothing", output)
			}
			answers, err := probe.Run(c.Context(), request)
			if err != nil {
				return err
			}
			if output == "json" {
				return json.NewEncoder(c.OutOrStdout()).Encode(answers)
			}
			return printAnswers(c.OutOrStdout(), answers)
		},
	}
	flags := c.Flags()
	flags.StringVar(&request.Protocol, "protocol", "http", "http, tcp, udp or sctp")
	flags.StringVar(&request.Path, "path", "/hostname", "what to GET with http")
	flags.StringVar(&request.Text, "text", "hostname", "what to send with tcp, udp and sctp")
	flags.IntVar(&request.Count, "count", 1, "how many connections to make")
	flags.BoolVar(&request.ConnectOnly, "connect", false, "only connect, with tcp and sctp")
	flags.DurationVar(&request.Timeout, "timeout", 2*time.Second, "how long to wait for each")
	flags.StringVarP(&output, "output", "o", "", "json for machines")
	return c
}

// printAnswers is an error when a connection had no answer.
func printAnswers(out io.Writer, answers []probe.Answer) error {
	missing := 0
	for _, a := range answers {
		text := a.Text
		if a.Outcome != probe.Answered {
			missing++
			text = a.Error
		}
		if _, err := fmt.Fprintf(out, "%-8s  %8s  %s\n", a.Outcome, a.Elapsed.Round(10*time.Microsecond), text); err != nil {
			return err
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d connections had no answer", missing, len(answers))
	}
	return nil
}
