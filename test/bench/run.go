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
	"fmt"
	"os"
	"path/filepath"
	"time"

	"switchyard.dev/switchyard/test/testenv/process"
)

// bench is one proxy at one size.
type bench struct {
	options   options
	inventory *inventory
	subject
	*world
	size    size
	dir     string
	process *process.Process
	// turn makes each switch differ from the one before.
	turn   int
	result result
}

// measure takes all figures of one proxy at one size, in a world of its own.
func measure(ctx context.Context, o options, v *inventory, s subject, size size, dir string) (result, error) {
	w, err := newWorld()
	if err != nil {
		return result{}, err
	}
	defer w.close()
	b := &bench{options: o, inventory: v, subject: s, world: w, size: size, dir: dir}
	b.result = result{Proxy: s.name, Size: size}
	if err := v.awaitIdle(ctx); err != nil {
		return b.result, err
	}
	for _, step := range []struct {
		what string
		take func(context.Context) error
	}{
		{"cold start", b.coldStart},
		{"slice write to new endpoint", b.switchLatency},
		{"new connections", b.connections},
		{"restart", b.warmStart},
		{"50 updates/s", b.steadyChurn},
		{"500 updates/s", b.burstChurn},
		{"50 updates/s with many connections tracked", b.busyChurn},
		{"kernel memory", b.kernelMemory},
	} {
		progress("%-10s %-9s %s", s.name, size, step.what)
		if err := step.take(ctx); err != nil {
			b.end()
			return b.result, fmt.Errorf("%s at %s, %s: %w", s.name, size, step.what, err)
		}
	}
	b.end()
	return b.result, nil
}

// begin starts the proxy.
func (b *bench) begin() (err error) {
	b.process, err = process.Start(b.command(b.inventory.kubeconfig), b.node, filepath.Join(b.dir, b.name+"-"+b.size.String()+".log"))
	return err
}

func (b *bench) end() {
	if b.process != nil {
		b.process.Stop(endPatience)
	}
}

var started = time.Now()

// progress goes to the standard error, so that -o json stays clean.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%5.0fs  %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, args...))
}
