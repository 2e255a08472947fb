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
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/version"
)

// The exit codes of switchyard-dns.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a mistake on the command line.
type usageError struct{ error }

// Main runs the program with args and returns its exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := newCommand(args, stdout, stderr).ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "switchyard-dns: %v\n", err)
	if _, usage := errors.AsType[usageError](err); usage {
		fmt.Fprintln(stderr, "See `switchyard-dns --help`.")
		return exitUsage
	}
	return exitFailed
}

func newCommand(args []string, stdout, stderr io.Writer) *cobra.Command {
	var o options
	command := &cobra.Command{
		Use:   "switchyard-dns",
		Short: "Answer DNS queries about a cluster's Services",
		Long: `switchyard-dns answers DNS queries about the Services of a cluster and forwards
all others. It is CoreDNS with Switchyard's plugin in place of the kubernetes
one: a Corefile for CoreDNS works with that one word changed to "switchyard".

Without --config, the flags stand for a Corefile; --print-config shows it.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unexpected argument %q: there are only flags", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return o.execute(c.Context(), stdout) },
	}
	command.SetOut(stdout)
	command.SetErr(stderr)
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	command.CompletionOptions.DisableDefaultCmd = true
	command.SetArgs(args)
	o.addTo(command.Flags())
	return command
}

func (o *options) execute(ctx context.Context, stdout io.Writer) error {
	if o.version {
		_, err := fmt.Fprintln(stdout, "switchyard-dns", version.String())
		return err
	}
	corefile, err := o.corefile()
	if err != nil {
		return usageError{err}
	}
	if o.print {
		_, err := stdout.Write(corefile)
		return err
	}
	boundMemory()
	return run(ctx, o)
}
