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
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

type options struct {
	// binaries has a directory GOOS_GOARCH for each platform.
	binaries, output, push string
	name                   string
	// local is for an image that does not leave this machine.
	local             bool
	version, revision string
	created           time.Time
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	o := options{created: time.Unix(0, 0)}
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&o.binaries, "binaries", "", "directory with a directory linux_ARCH of static programs for each architecture")
	flags.StringVar(&o.output, "output", "", "OCI archive to write; bills of materials are written beside it")
	flags.StringVar(&o.push, "push", "", "registry/repository:tag to push to, with the credentials that docker and podman keep")
	flags.BoolVar(&o.local, "local", false, "take programs as they are built for this machine, not reproducibly; for tests, not with -push")
	flags.StringVar(&o.name, "name", "switchyard:latest", "name of the image when the archive is loaded")
	flags.StringVar(&o.version, "version", "", "version for the image's labels")
	flags.StringVar(&o.revision, "revision", "", "commit for the image's labels")
	flags.Func("created", "time of creation, in seconds since 1970 (default $SOURCE_DATE_EPOCH, else 0)", func(text string) (err error) {
		o.created, err = seconds(text)
		return err
	})
	if text := os.Getenv("SOURCE_DATE_EPOCH"); text != "" {
		var err error
		if o.created, err = seconds(text); err != nil {
			return o, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q: give flags only, see -h", flags.Arg(0))
	case o.binaries == "":
		return o, errors.New("-binaries is missing: name the directory that has linux_amd64 and the like")
	case o.local && o.push != "":
		return o, errors.New("-local and -push are both given: what others run is built with -trimpath")
	case o.output == "" && o.push == "":
		return o, errors.New("nothing to do: give -output, -push, or both")
	}
	return o, nil
}

func seconds(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return time.Time{}, fmt.Errorf("%q is no number of seconds since 1970", text)
	}
	return time.Unix(n, 0), nil
}

func run(ctx context.Context, o options) error {
	platforms, err := findPlatforms(o.binaries, o.local)
	if err != nil {
		return err
	}
	index, err := assemble(platforms, o)
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	if o.output != "" {
		if err := os.MkdirAll(filepath.Dir(o.output), 0o755); err != nil {
			return err
		}
		if err := writeArchive(index, o.name, o.output); err != nil {
			return fmt.Errorf("writing %s: %w", o.output, err)
		}
		for _, p := range platforms {
			path := strings.TrimSuffix(o.output, ".tar") + "-" + p.arch + ".cdx.json"
			if err := writeBill(p, o, path); err != nil {
				return fmt.Errorf("writing %s: %w", path, err)
			}
			fmt.Println(path)
		}
		fmt.Println(o.output)
	}
	if o.push != "" {
		if err := push(ctx, index, o.push); err != nil {
			return fmt.Errorf("pushing to %s: %w", o.push, err)
		}
	}
	fmt.Printf("%s@%s\n", o.name, digest)
	return nil
}
