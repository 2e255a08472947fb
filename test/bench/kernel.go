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
	"os/exec"
	"time"

	"switchyard.dev/switchyard/test/testenv/process"
)

// kernelMemory deletes the rules and looks how much memory the kernel gets
// back. The figure is of the whole machine: something else that takes or frees
// kernel memory in the same second is in it, too.
func (b *bench) kernelMemory(context.Context) error {
	settled := func() (int64, error) {
		time.Sleep(time.Second) // for what the kernel frees after a grace period
		return process.Kilobytes("/proc/meminfo", "SUnreclaim", "Percpu", "VmallocUsed")
	}
	// Not asked to end: what it would do then is not what is measured, and it
	// must not repair what is deleted now. What the kernel held for the process
	// is not the rules', so that it goes before the first look.
	b.process.Kill()
	with, err := settled()
	if err != nil {
		return err
	}
	var out []byte
	err = b.node.Do(func() (err error) {
		out, err = exec.Command("nft", "flush ruleset").CombinedOutput()
		return err
	})
	if err != nil {
		return fmt.Errorf("nft flush ruleset: %w: %s", err, out)
	}
	without, err := settled()
	b.result.KernelBytes = with - without
	return err
}
