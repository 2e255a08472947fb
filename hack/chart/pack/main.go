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

// Command pack makes an archive of a chart, as `helm package` does, and pushes it
// to a registry, as `helm push` does, with Helm's own library: Helm itself is not
// needed. The same chart gives the same archive.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/cli"
	"helm.sh/helm/v4/pkg/registry"
)

type options struct {
	chart, output string
	push          string
	plainHTTP     bool
	created       time.Time
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	o := options{created: time.Unix(0, 0)}
	flags := flag.NewFlagSet("pack", flag.ContinueOnError)
	flags.StringVar(&o.chart, "chart", "", "directory of the chart")
	flags.StringVar(&o.output, "output", "", "directory for the archive NAME-VERSION.tgz")
	flags.StringVar(&o.push, "push", "", "oci://registry/path to push it to, with the credentials that helm and docker keep")
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "speak HTTP to the registry")
	flags.Func("created", "time of the files, in seconds since 1970 (default 0)", func(text string) error {
		n, err := strconv.ParseInt(text, 10, 64)
		o.created = time.Unix(n, 0)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q: give flags only, see -h", flags.Arg(0))
	case o.chart == "" || o.output == "":
		return o, errors.New("-chart or -output is missing: name two directories")
	case o.push != "" && !registry.IsOCI(o.push):
		return o, fmt.Errorf("-push %s: write it as oci://registry/path", o.push)
	}
	return o, nil
}

func run(o options) error {
	if err := os.MkdirAll(o.output, 0o755); err != nil {
		return err
	}
	p := action.NewPackage()
	p.Destination, p.SourceDateEpoch = o.output, &o.created
	archive, err := p.Run(o.chart, nil)
	if err != nil {
		return fmt.Errorf("packing %s: %w", o.chart, err)
	}
	fmt.Println(archive)
	if o.push == "" {
		return nil
	}
	if err := push(archive, o); err != nil {
		return fmt.Errorf("pushing to %s: %w", o.push, err)
	}
	return nil
}

func push(archive string, o options) error {
	settings := cli.New()
	with := []registry.ClientOption{registry.ClientOptWriter(os.Stdout), registry.ClientOptCredentialsFile(settings.RegistryConfig)}
	if o.plainHTTP {
		with = append(with, registry.ClientOptPlainHTTP())
	}
	client, err := registry.NewClient(with...)
	if err != nil {
		return err
	}
	configuration := action.NewConfiguration()
	configuration.RegistryClient = client
	p := action.NewPushWithOpts(action.WithPushConfig(configuration), action.WithPlainHTTP(o.plainHTTP))
	p.Settings = settings
	_, err = p.Run(archive, o.push)
	return err
}
