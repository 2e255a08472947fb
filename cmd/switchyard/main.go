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
	"io/fs"
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
	case readerGone(err):
		return exitBrokenPipe
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

// exitBrokenPipe is how a shell tells of a program that SIGPIPE has ended.
const exitBrokenPipe = 128 + int(unix.SIGPIPE)

// readerGone says that nobody wants to read on, as in `switchyard audit | head`,
// which is nothing to complain about.
func readerGone(err error) bool {
	write, is := errors.AsType[*fs.PathError](err)
	return is && write.Path == os.Stdout.Name() && errors.Is(err, unix.EPIPE)
}

// exitError ends the program with a code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d: %v", e.code, e.err) }

func (e *exitError) Unwrap() error { return e.err }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "switchyard",
		Short: "Kubernetes Services as one suite: a local cluster, and questions about any",
		Long: `Switchyard is the whole of Kubernetes Services as one suite: admission and
allocation, load balancers' addresses, endpoints, DNS, and the node dataplane.

This program runs a local cluster in namespaces of its own, with a real control
plane and the real suite (your machine's network stays as it is), and answers
questions about it or any other cluster: those of the first list below (lint with
--cluster) ask the one of --kubeconfig, or of KUBECONFIG; without these the local
cluster if one is running, else the one that kubectl would ask. All but top and
trace take --context, too. As kubectl's plugin, "kubectl switchyard who", they ask
whom kubectl asks.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          aCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	addGroup(root, "questions", "Questions about a cluster:",
		statusCommand(), whyCommand(), whoCommand(), poolsCommand(), auditCommand(), lintCommand(), envCommand(), recordsCommand(), traceCommand(), topCommand(),
		bugReportCommand())
	addGroup(root, "local", "The local cluster:", upCommand(), downCommand(), kubeconfigCommand(), execCommand(), logsCommand(),
		probeCommand(), resolveCommand(), demoCommand())
	root.AddCommand(versionCommand(), initCommand(), supervisorCommand(), enterCommand(), followCommand(), getCommand(), connectCommand())
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w: `%s --help` lists the flags", explainFlag(err), c.CommandPath())
	})
	return root
}

// addGroup has help show some commands together.
func addGroup(root *cobra.Command, id, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: title})
	for _, c := range commands {
		c.GroupID = id
		root.AddCommand(c)
	}
}

// stateDir is where the local cluster of this user keeps its state.
func stateDir() (state.Dir, error) { return state.FromEnvironment() }
