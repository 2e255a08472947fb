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
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/prereq"
)

// asProgram makes this binary the benchmark.
const asProgram = "SWITCHYARD_BENCH_AS_PROGRAM"

// TestMain is the benchmark when shortRun or enter run this binary.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || os.Getenv(insideVariable) != "" {
		os.Exit(run(os.Args[1:]))
	}
	// All short runs at a time, on whatever machine: they wait more than they compute.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestAShortRunTakesEveryFigureOfBothProxies(t *testing.T) {
	prereq.Root(t)
	prereq.Tool(t, "nft", "nftables")
	page := filepath.Join(t.TempDir(), "page.md")
	got := shortRun(t, "-admission=0", "-endpoints=0", "-dns=0", "-sizes=20x2", "-alone=", "-switches=105", "-peer-switches=2",
		"-churn=1s", "-burst=3s", "-traffic=1s", "-tracked=500", "-markdown="+page)
	if len(got.Results) != 2 {
		t.Fatalf("%d results, want one of each proxy", len(got.Results))
	}
	for _, r := range got.Results {
		everyConnectionIsAnswered(t, r)
		for _, f := range figures {
			if value := f.of(r); !(value > 0) && !mayBeMissing(r, f) {
				t.Errorf("%s at %s: %s is %v %s", r.Proxy, r.Size, f.name, value, f.unit)
			}
		}
	}
	text, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(text), "| cold start until the last Service answers | 20x2 |") {
		t.Errorf("%v; the page:\n%s", err, text)
	}
}

// mayBeMissing says whether f need not be a number above zero.
func mayBeMissing(r result, f figure) bool {
	switch {
	case strings.HasSuffix(f.name, "that failed"), strings.HasSuffix(f.name, "that failed during the restart"):
		return true
	case f.name == "kernel memory per Service": // of so few it is lost in the machine's noise
		return true
	case strings.HasPrefix(f.name, "slice write acknowledged"): // the endpoint may answer before the writer is told
		return true
	case r.Proxy != kubeProxyName:
		return false
	case strings.HasPrefix(f.name, "lag at 500/s"): // which may take longer than a third of the run
		return true
	}
	// Of two samples there is none.
	return f.name == "slice write -> new endpoint, p99" || f.name == "  of which until a bare watch has it, p99"
}

func everyConnectionIsAnswered(t *testing.T, r result) {
	t.Helper()
	if r.Cold.Swept != r.Size.Services {
		t.Errorf("%s at %s: %d Services answered", r.Proxy, r.Size, r.Cold.Swept)
	}
	if r.Warm.Failed > 0 || r.Warm.Attempts == 0 {
		t.Errorf("%s at %s: %d of %d connections failed during the restart", r.Proxy, r.Size, r.Warm.Failed, r.Warm.Attempts)
	}
	for kind, traffic := range r.Traffic {
		if traffic.Failed > 0 {
			t.Errorf("%s at %s: %d connections (%s) failed", r.Proxy, r.Size, traffic.Failed, kind)
		}
	}
	if r.Busy.Tracked < 500 {
		t.Errorf("%s at %s: %d connections tracked, want 500", r.Proxy, r.Size, r.Busy.Tracked)
	}
}

// shortRun is what the benchmark measures with args, beside other tests: it has
// namespaces of its own.
func shortRun(t *testing.T, args ...string) (got report) {
	t.Helper()
	t.Parallel()
	bench := exec.CommandContext(t.Context(), os.Args[0], append(args, "-o=json", "-logs="+t.TempDir())...)
	bench.Env = append(os.Environ(), asProgram+"=yes")
	var out, said bytes.Buffer
	bench.Stdout, bench.Stderr = &out, &said
	err := errors.Join(bench.Run(), json.NewDecoder(bytes.NewReader(out.Bytes())).Decode(&got))
	if err != nil {
		t.Fatalf("%v:\n%s\n%s", err, &out, &said)
	}
	return got
}
