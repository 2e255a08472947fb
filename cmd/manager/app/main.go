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
	"flag"
	"fmt"
	"io"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"switchyard.dev/switchyard/internal/command"
	"switchyard.dev/switchyard/internal/version"
)

// Main runs the manager with a command line and returns the exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	return command.Run("switchyard-manager", stderr, func(ctx context.Context) error { return execute(ctx, args, stdout) })
}

func execute(ctx context.Context, args []string, stdout io.Writer) error {
	options := Options{}
	options.Defaults()
	flags := options.flagSet()
	switch err := options.parse(flags, args); {
	case errors.Is(err, flag.ErrHelp):
		printHelp(flags, stdout)
		return nil
	case err != nil:
		return command.Wrong(err)
	case options.Version:
		_, err := fmt.Fprintln(stdout, "switchyard-manager", version.String())
		return err
	}
	logger := zap.New(zap.UseFlagOptions(&options.Zap))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	return explain(Run(ctx, options), options)
}

func printHelp(flags *flag.FlagSet, stdout io.Writer) {
	_, _ = fmt.Fprint(stdout, "switchyard-manager runs the admission webhooks and the controllers of Switchyard.\n\nFlags:\n")
	flags.SetOutput(stdout)
	flags.PrintDefaults()
}
