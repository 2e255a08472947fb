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
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/prereq"
)

// TestMain is the benchmark when enter runs this binary again.
func TestMain(m *testing.M) {
	if os.Getenv(insideVariable) != "" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

func TestAShortRunTakesEveryFigureOfBothProxies(t *testing.T) {
	prereq.Root(t)
	prereq.Tool(t, "nft", "nftables")
	page := filepath.Join(t.TempDir(), "page.md")
	var code int
	out := standardOutput(t, func() {
		code = run([]string{"-admission=0", "-endpoints=0", "-dns=0", "-sizes=20x2", "-alone=", "-switches=105", "-peer-switches=2", "-churn=1s", "-burst=3s", "-traffic=1s",
			"-tracked=500", "-o=json", "-markdown=" + page, "-logs=" + t.TempDir()})
	})
	var got report
	if err := json.Unmarshal(out, &got); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v:\n%s", code, err, out)
	}
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

// standardOutput is what fn, and the processes that it starts, print.
func standardOutput(t *testing.T, fn func()) []byte {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	saved := os.Stdout
	os.Stdout = file
	fn()
	os.Stdout = saved
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
