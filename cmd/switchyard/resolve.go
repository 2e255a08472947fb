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
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/localcluster"
	"switchyard.dev/switchyard/internal/localcluster/state"
	"switchyard.dev/switchyard/internal/resolve"
)

// resolveCommand asks from where it is run, so it goes behind
// `switchyard exec`.
func resolveCommand() *cobra.Command {
	var request resolve.Request
	var output, namespace string
	c := &cobra.Command{
		Use:   "resolve NAME|ADDRESS",
		Short: "Ask DNS for a name as a pod's program would",
		Long: `Ask the local cluster's DNS for a name, completed as for a pod of the namespace,
and say what was found and who answered. In a pod, of any cluster, /etc/resolv.conf
says who is asked and how names are completed, and so it does where no local cluster
runs, in networks that ` + "`switchyard exec`" + ` has entered, and with --server.

The exit code is 1 if there are no such records; with -o json it is 0, and the
last answer has none. What they should be says
` + "`switchyard records`" + `, for any cluster.`,
		Example: `  switchyard resolve web -n shop
  switchyard resolve _http._tcp.web.shop --type SRV
  switchyard resolve 10.96.0.1
  switchyard exec POD -- switchyard resolve web`,
		Args: exactly("NAME or ADDRESS"),
		RunE: func(c *cobra.Command, args []string) error {
			request.Name = args[0]
			if output != "" && output != "json" {
				return fmt.Errorf("output %q: want json or nothing", output)
			}
			pods := request.Server != "" || localcluster.Entered() || request.ForPods()
			if dir, err := stateDir(); err == nil && !pods {
				if _, err := localcluster.Running(dir); err == nil {
					return resolveAsPod(dir, namespace)
				}
			}
			answers, err := resolve.Run(c.Context(), request)
			if output == "json" && err == nil {
				return json.NewEncoder(c.OutOrStdout()).Encode(answers)
			}
			if printed := printResolved(c.OutOrStdout(), answers); printed != nil {
				return printed
			}
			if err == nil && !answers[len(answers)-1].Found() {
				err = nothingFound(request.Name, pods)
			}
			return err
		},
	}
	flags := c.Flags()
	flags.StringVarP(&namespace, "namespace", "n", "default", "namespace that names are completed with, in the local cluster")
	flags.StringVar(&request.Type, "type", "", "type of records; without it A, and PTR for an address")
	flags.StringVar(&request.Server, "server", "", "ask this address in place of the servers of /etc/resolv.conf")
	flags.BoolVar(&request.TCP, "tcp", false, "ask over TCP")
	flags.DurationVar(&request.Timeout, "timeout", 2*time.Second, "how long to wait for each server")
	flags.StringVarP(&output, "output", "o", "", "json for machines")
	return c
}

// printResolved is a line for each record, and for each name that has none.
// resolveAsPod starts this program once more where the DNS of the local cluster
// is reached.
func resolveAsPod(dir state.Dir, namespace string) error {
	network, err := localcluster.AsPod(dir, namespace)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the switchyard program: %w", err)
	}
	return network.Exec(append([]string{self}, os.Args[1:]...))
}

// nothingFound says where to ask if it was this machine's DNS that knows nothing.
func nothingFound(name string, pods bool) error {
	if pods {
		return fmt.Errorf("%s: nothing found", name)
	}
	return fmt.Errorf("%s: nothing found by the DNS of this machine, which is not a cluster's: ask in a pod, "+
		"or on a node with --server and the address of Service kube-system/kube-dns", name)
}

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
