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

package app

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/command"
	"switchyard.dev/switchyard/internal/version"
)

// gcPercent is below Go's default. A server runs on every node, next to what the
// node is for, and with 10,000 Services it keeps 14 MiB only. Half of Go's would
// save another 2 MiB of 65, and cost a tenth of the queries per second.
const gcPercent = 75

// Main runs the program with args and returns its exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	return command.Main(newCommand(stdout), args, stdout, stderr)
}

func newCommand(stdout io.Writer) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "switchyard-dns",
		Short: "Answer DNS queries about a cluster's Services",
		Long: `switchyard-dns answers DNS queries about the Services of a cluster and forwards
all others. It is CoreDNS with Switchyard's plugin in place of the kubernetes
one: a Corefile for CoreDNS works with that one word changed to "switchyard".

Without --config, the flags stand for a Corefile; --print-config shows it.`,
		Args: command.FlagsOnly("there are only flags"),
		RunE: func(c *cobra.Command, _ []string) error { return o.execute(c.Context(), stdout) },
	}
	o.addTo(c.Flags())
	return c
}

func (o *options) execute(ctx context.Context, stdout io.Writer) error {
	if o.version {
		_, err := fmt.Fprintln(stdout, "switchyard-dns", version.String())
		return err
	}
	corefile, err := o.corefile()
	if err != nil {
		return command.Wrong(err)
	}
	if o.print {
		_, err := stdout.Write(corefile)
		return err
	}
	command.CollectAt(gcPercent)
	return run(ctx, o)
}
