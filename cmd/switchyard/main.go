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
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/localcluster/runner"
	"switchyard.dev/switchyard/internal/localcluster/state"
)

func main() {
	runner.MaybeChild()
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM, unix.SIGHUP)
	// The first Ctrl-C asks for an orderly end, the second one gets any end.
	context.AfterFunc(ctx, stop)
	root := rootCommand()
	root.SetArgs(calledAs(root, os.Args))
	err := root.ExecuteContext(untilReaderGone(ctx))
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintln(os.Stderr, "switchyard:", exit.err)
		}
		return exit.code
	default:
		fmt.Fprintln(os.Stderr, "switchyard:", err)
		return 1
	}
}

// untilReaderGone ends when what reads our output is gone. The signal stays
// caught: a second write into `switchyard demo | head` must not end the program
// before it has taken down what it started.
func untilReaderGone(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	gone := make(chan os.Signal, 1)
	signal.Notify(gone, unix.SIGPIPE)
	go func() {
		<-gone
		cancel()
	}()
	return ctx
}

// exitError ends the program with a code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d: %v", e.code, e.err) }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "switchyard",
		Short: "Kubernetes Services as one suite: try it on a local cluster",
		Long: `Switchyard is the whole of Kubernetes Services as one suite: admission and
allocation, endpoints, and the node dataplane.

This program runs a local cluster in namespaces of its own, with a real control
plane and the real suite. Your machine's network stays as it is.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(
		upCommand(), downCommand(), statusCommand(), kubeconfigCommand(),
		execCommand(), logsCommand(), probeCommand(), traceCommand(), topCommand(),
		whoCommand(), poolsCommand(), auditCommand(), lintCommand(), demoCommand(), versionCommand(),
		initCommand(), supervisorCommand(), enterCommand(), followCommand(), getCommand(),
	)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w: `%s --help` lists the flags", explainFlag(err), c.CommandPath())
	})
	return root
}

// stateDir is where the local cluster of this user keeps its state.
func stateDir() (state.Dir, error) { return state.FromEnvironment() }
