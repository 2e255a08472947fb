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
	"errors"
	"flag"
	"fmt"
	"io"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"switchyard.dev/switchyard/internal/version"
)

// Exit codes: a wrong command line is told from a failure at work.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// Main runs the manager with a command line and returns the exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	options := Options{}
	options.Defaults()
	flags := options.flagSet()
	switch err := options.parse(flags, args); {
	case errors.Is(err, flag.ErrHelp):
		printHelp(flags, stdout)
		return exitOK
	case err != nil:
		return complain(stderr, err, exitUsage)
	case options.Version:
		_, _ = fmt.Fprintln(stdout, "switchyard-manager", version.String())
		return exitOK
	}
	logger := zap.New(zap.UseFlagOptions(&options.Zap))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	if err := Run(ctrl.SetupSignalHandler(), options); err != nil {
		return complain(stderr, explain(err, options), exitFailure)
	}
	return exitOK
}

func complain(stderr io.Writer, err error, code int) int {
	_, _ = fmt.Fprintf(stderr, "switchyard-manager: %v\n", err)
	return code
}

func printHelp(flags *flag.FlagSet, stdout io.Writer) {
	_, _ = fmt.Fprint(stdout, "switchyard-manager runs the admission webhooks and the controllers of Switchyard.\n\nFlags:\n")
	flags.SetOutput(stdout)
	flags.PrintDefaults()
}
