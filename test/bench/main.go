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
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	"golang.org/x/sys/unix"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		return 2
	}
	code := 1
	if dir := os.Getenv(insideVariable); dir == "" {
		code, err = enter(args)
	} else {
		ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
		defer stop()
		if err = inside(ctx, o, dir); err == nil {
			code = 0
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
	}
	return code
}

// inside is the whole run, in namespaces of its own.
func inside(ctx context.Context, o options, dir string) error {
	if err := settle(dir); err != nil {
		return err
	}
	if err := addAPIServerAddress(); err != nil {
		return err
	}
	if o.logs != "" {
		if err := os.MkdirAll(o.logs, 0o755); err != nil {
			return err
		}
		dir = o.logs
	}
	ours, theirs := subjects(o)
	r := &report{Machine: thisMachine(ours, theirs, o)}
	// What was measured is printed also if something fails on the way.
	return errors.Join(measureAll(ctx, o, r, dir, ours, theirs), r.write(o))
}

// measureAll takes the parts first, whose API servers are gone when the proxies'
// begins.
func measureAll(ctx context.Context, o options, r *report, dir string, ours, theirs subject) (err error) {
	if o.admission > 0 && (o.only == "" || o.only == webhooksName) {
		if r.Admission, err = measureAdmission(ctx, o, dir); err != nil {
			return err
		}
	}
	if o.endpoints > 0 && (o.only == "" || o.only == endpointsName) {
		if r.Endpoints, err = measureEndpoints(ctx, o, dir); err != nil {
			return err
		}
	}
	if o.dns > 0 && (o.only == "" || o.only == dnsName) {
		if r.DNS, err = measureDNS(ctx, o, dir); err != nil {
			return err
		}
	}
	if slices.Contains(parts, o.only) {
		return nil
	}
	progress("starting etcd and kube-apiserver")
	c, err := startCluster(dir)
	if err != nil {
		return err
	}
	v := &inventory{cluster: c}
	if err := v.prepare(ctx); err != nil {
		return fmt.Errorf("writing the first objects: %w", err)
	}
	return measureProxies(ctx, o, v, r, dir, ours, theirs)
}

// measureProxies takes both proxies at each size before it goes on to the next.
func measureProxies(ctx context.Context, o options, v *inventory, r *report, dir string, ours, theirs subject) error {
	run := func(size size, subjects ...subject) error {
		progress("writing %d Services with %d endpoints each", size.Services, size.Endpoints)
		if err := v.grow(ctx, size); err != nil {
			return fmt.Errorf("writing %s: %w", size, err)
		}
		for _, subject := range subjects {
			if o.only != "" && o.only != subject.name {
				continue
			}
			result, err := measure(ctx, o, v, subject, size, dir)
			if err != nil {
				return err
			}
			r.Results = append(r.Results, result)
		}
		return nil
	}
	for _, size := range o.sizes {
		if err := run(size, ours, theirs); err != nil {
			return err
		}
	}
	for _, size := range o.alone {
		if err := run(size, ours); err != nil {
			return err
		}
	}
	return nil
}

// write prints the report, and the page of the documentation if asked to.
func (r *report) write(o options) error {
	r.tabulate()
	if o.markdown != "" {
		if err := r.writePage(o); err != nil {
			return err
		}
	}
	if o.output == "json" {
		return r.printJSON(os.Stdout)
	}
	r.printTable(os.Stdout)
	return nil
}

func (r *report) printJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
