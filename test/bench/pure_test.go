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
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestQuantilesAreMeasuredValues(t *testing.T) {
	var durations []time.Duration
	for n := 200; n >= 1; n-- {
		durations = append(durations, time.Duration(n)*time.Millisecond)
	}
	if diff := cmp.Diff(spread{Samples: 200, P50: 100, P99: 198, Max: 200}, spreadOf(durations)); diff != "" {
		t.Errorf("of 1 to 200 ms (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(spread{Samples: 99, P50: 50, Max: 99}, spreadOf(durations[:99])); diff != "" {
		t.Errorf("of so few that a p99 would be their maximum (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(spread{Samples: 1, P50: 7, Max: 7}, spreadOf([]time.Duration{7 * time.Millisecond})); diff != "" {
		t.Errorf("of one (-want +got):\n%s", diff)
	}
}

func TestAStrideMeetsEveryService(t *testing.T) {
	for _, n := range []int{1, 2, 20, 1000, 5000, 9973} {
		met := map[int]bool{}
		for i := range n {
			met[i*stride(n)%n] = true
		}
		if len(met) != n {
			t.Errorf("%d of %d Services are met", len(met), n)
		}
	}
}

func TestTheClockEndsWithTheLastUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seconds, err := (&bench{}).write(t.Context(), 0, burstRate, func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(10 * time.Second) // a switch that was begun before
			return nil
		})
		if err != nil || seconds != 0 {
			t.Errorf("%v; none was written in %v s", err, seconds)
		}
	})
}

func TestAddressesOfDifferentThingsDiffer(t *testing.T) {
	seen := map[netip.Addr]string{}
	add := func(address netip.Addr, what string, within netip.Prefix) {
		if before, ok := seen[address]; ok {
			t.Errorf("%s is %s and %s", address, before, what)
		}
		if !within.Contains(address) {
			t.Errorf("%s, %s, is not in %s", address, what, within)
		}
		seen[address] = what
	}
	for n := range 1000 {
		add(specialAddress(n), "special endpoint", endpointCIDR)
		add(clientAddress(n), "client", clientCIDR)
	}
	for _, service := range []int{0, 1, 2, maxServices - 1} {
		add(clusterIP(service), "ClusterIP", serviceCIDR)
		for endpoint := range maxEndpoints {
			add(endpointAddress(service, endpoint, 0), "endpoint", endpointCIDR)
			add(endpointAddress(service, endpoint, 1), "its replacement", endpointCIDR)
		}
	}
	for _, s := range specials {
		add(s.vip, s.name, serviceCIDR)
	}
}

// results of both proxies, in which ours takes part of what theirs takes.
func results(services int, ours, theirs float64) []result {
	size := size{services, 10}
	return []result{
		{Proxy: switchyardName, Size: size, Cold: coldStart{AllAnswer: ours}, Switch: latency{Sent: spread{P50: ours}}},
		{Proxy: kubeProxyName, Size: size, Cold: coldStart{AllAnswer: theirs}, Switch: latency{Sent: spread{P50: theirs}}},
	}
}

func TestTargets(t *testing.T) {
	const cold, switchP50 = "cold start until the last Service answers", "slice write -> new endpoint, p50"
	for name, tc := range map[string]struct {
		results []result
		figure  string
		want    string
	}{
		"both parts of a target hold":                {results(10000, 1900, 16000), cold, "met"},
		"slower than the limit":                      {results(10000, 2100, 90000), cold, "NOT met"},
		"too large a part of theirs":                 {results(10000, 1900, 8000), cold, "NOT met"},
		"theirs was not measured":                    {results(10000, 1900, 0)[:1], cold, "not judged"},
		"missed whatever theirs is":                  {results(10000, 2100, 0)[:1], cold, "NOT met"},
		"no target at this size":                     {results(1000, 90000, 1), cold, ""},
		"flat":                                       {append(results(1000, 3, 30), results(10000, 4, 300)...), switchP50, "met"},
		"fast enough, but it grows with the cluster": {append(results(1000, 2, 30), results(10000, 4, 300)...), switchP50, "NOT met"},
	} {
		t.Run(name, func(t *testing.T) {
			r := report{Results: tc.results}
			r.tabulate()
			for _, row := range r.Rows {
				if last := tc.results[len(tc.results)-1].Size; row.Figure == tc.figure && row.Size == last {
					if got := row.verdict(); got != tc.want {
						t.Errorf("verdict %q, want %q (%s)", got, tc.want, row.Target)
					}
					return
				}
			}
			t.Errorf("no row %q", tc.figure)
		})
	}
}

func TestConnectionsThatFailedAreInTheTable(t *testing.T) {
	for failed, want := range map[int]string{0: "met", 3: "NOT met"} {
		r := report{Results: results(10000, 1900, 16000)}
		r.Results[0].Traffic = map[string]traffic{toPods: {}, toClusterIP: {Failed: failed}}
		r.tabulate()
		found := false
		for _, row := range r.Rows {
			if row.Figure != "new connections that failed" {
				continue
			}
			found = true
			if got := row.verdict(); got != want || *row.Ours != float64(failed) {
				t.Errorf("%d failed: the row has %v, %s; want %s", failed, *row.Ours, got, want)
			}
		}
		if !found {
			t.Error("there is no such row")
		}
	}
}

func TestTheNotesAreLinkedWhereThereAreAny(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	r := report{Results: results(10000, 1900, 16000)}
	r.tabulate()
	for _, notes := range []bool{false, true} {
		if notes {
			if err := os.WriteFile(filepath.Join(filepath.Dir(page), notesName), []byte("# Notes\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.writePage(options{markdown: page, tracked: 7}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(page)
		if err != nil || strings.Contains(string(text), "]("+notesName+")") != notes {
			t.Errorf("%v; notes: %v; the page:\n%s", err, notes, text)
		}
	}
}

func TestNumbersHaveThreeDigitsThatCount(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 10: "10", 0.1234: "0.123", 1.234: "1.23", -12.34: "-12.3", 1234.5: "1234"} {
		if got := number(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}

func TestTheTableIsAligned(t *testing.T) {
	r := report{Results: results(10000, 1900.4, 16000)}
	r.tabulate()
	var out strings.Builder
	r.printTable(&out)
	lines := strings.Split(out.String(), "\n")
	const want = "cold start until the last Service answers          10000x10  ms          1900       16000  0.119  <= 2 s, <= 1/8                  met"
	if diff := cmp.Diff(want, lines[2]); diff != "" {
		t.Errorf("first row (-want +got):\n%s", diff)
	}
}

func TestOnlyBenchmarksAndTheirPackagesAreKept(t *testing.T) {
	const text = `goos: linux
pkg: example.com/without
PASS
pkg: example.com/with
cpu: x
BenchmarkA/b-2   	 100	 12.5 ns/op	 0 B/op
some log
ok  	example.com/with	1.0s
pkg: example.com/last
`
	const want = "pkg: example.com/with\nBenchmarkA/b-2   \t 100\t 12.5 ns/op\t 0 B/op"
	if diff := cmp.Diff(want, benchmarkLines(text)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

func TestSizesThatCanNotBeMeant(t *testing.T) {
	for _, text := range []string{"1000", "x10", "1000x", "0x10", "1000x11", "200000x1", "1000x10;5000x10"} {
		if _, err := parse([]string{"-sizes", text}); err == nil {
			t.Errorf("-sizes %s is taken", text)
		}
	}
	o, err := parse([]string{"-quick", "-sizes", "20x2,30x3", "-churn", "9s"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sizes{{20, 2}, {30, 3}}, o.sizes); diff != "" || o.churn != 9*time.Second || o.burst != 6*time.Second {
		t.Errorf("-quick keeps what is given: churn %v, burst %v, sizes (-want +got):\n%s", o.churn, o.burst, diff)
	}
}
