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
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"

	"switchyard.dev/switchyard/test/prereq"
)

// histogramOf serves a native histogram, as the manager does.
func histogramOf(t *testing.T) (observe func(seconds ...float64), read func() native) {
	t.Helper()
	registry := prometheus.NewRegistry()
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h", NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 20}, []string{"part"})
	registry.MustRegister(h)
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(server.Close)
	observe = func(seconds ...float64) {
		for _, s := range seconds {
			h.WithLabelValues("own").Observe(s)
			h.WithLabelValues("server").Observe(100 * s)
		}
	}
	return observe, func() native {
		m, err := scrape(t.Context(), http.DefaultClient, server.URL)
		if err != nil {
			t.Fatal(err)
		}
		return nativeOf(m.histograms("h", map[string]string{"part": "own"}))
	}
}

func TestQuantilesOfANativeHistogramAreAtMostATenthTooHigh(t *testing.T) {
	observe, read := histogramOf(t)
	observe(0.5, 0.5)
	before := read()
	for range 98 {
		observe(0.001)
	}
	observe(0.003, 0.007)
	got := read().since(before).quantiles()
	for name, value := range map[string][2]float64{"p50": {got.P50, 1}, "p90": {got.P90, 1}, "p99": {got.P99, 3}, "max": {got.Max, 7}} {
		if value[0] < value[1] || value[0] > 1.1*value[1] {
			t.Errorf("%s of 98 times 1 ms, 3 ms and 7 ms is %v ms", name, value[0])
		}
	}
	if got.Samples != 100 {
		t.Errorf("%d samples, want the 100 since the first reading", got.Samples)
	}
}

func TestBucketsThatWereMergedMeanwhileAreSubtracted(t *testing.T) {
	observe, read := histogramOf(t)
	observe(0.001, 0.001, 0.002)
	before := read()
	for s := 0.0001; s < 10; s *= 1.2 {
		observe(s)
	}
	after := read()
	if after.schema >= before.schema {
		t.Fatalf("schema %d, then %d: nothing was merged", before.schema, after.schema)
	}
	for index, count := range after.since(before).counts {
		if count < 0 {
			t.Errorf("bucket %d has %d", index, count)
		}
	}
}

func TestCallsOfTheSameRequestAreAddedUp(t *testing.T) {
	c := &calls{traces: map[string]*call{}}
	span := func(trace, name string, ms uint64) {
		c.add(&tracev1.Span{TraceId: []byte(trace), Name: name, StartTimeUnixNano: 1e18, EndTimeUnixNano: 1e18 + ms*1e6})
	}
	span("a", mutatingSpan, 3)
	span("a", validatingSpan, 2)
	span("a", "HTTP Outgoing", 50)
	span("b", mutatingSpan, 4) // not yet, or never, validated
	at := time.Unix(1e9, 0)
	all := c.between(at.Add(-time.Second), at.Add(time.Second))
	if len(all) != 1 || all[0].both() != 5*time.Millisecond {
		t.Errorf("got %v, want one of 5 ms", all)
	}
	if late := c.between(at.Add(time.Second), at.Add(time.Minute)); len(late) > 0 {
		t.Errorf("got %v of another time", late)
	}
}

func TestTargetsOfTheWebhooksAreJudgedAtTheirSizeOnly(t *testing.T) {
	enough := quantiles{Samples: leastForP99, P99: 4.9}
	slow := quantiles{Samples: leastForP99, P99: 5}
	few := quantiles{Samples: leastForP99 - 1, P99: 1}
	for name, tc := range map[string]struct {
		services int
		q        quantiles
		want     string
	}{
		"below":              {townSize, enough, "met"},
		"at the target":      {townSize, slow, "NOT met"},
		"of too few samples": {townSize, few, "not judged"},
		"of too few objects": {townSize - 1, enough, "not judged"},
	} {
		if got := judge(admissionResult{Services: tc.services}, tc.q, ownTarget)[1]; got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestAPageKeepsWhatWasNotMeasured(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	read := func() string {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	proxies, webhooks := report{Results: results(10000, 1900, 16000)}, report{Admission: []admissionResult{{Webhooks: "advisory", Clients: "77"}}}
	endpoints := report{Endpoints: []endpointsResult{{Name: managerName, PeakBytes: 77 << 20}}}
	proxies.tabulate()
	for _, r := range []report{proxies, endpoints, webhooks, webhooks, endpoints, proxies} {
		if err := r.writePage(options{markdown: page}); err != nil {
			t.Fatal(err)
		}
	}
	text := read()
	for _, want := range []string{"| 10000x10 |", "| advisory | 77 |", "| MiB | 77 |"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, title := range []string{"\n## Admission webhooks\n", "\n## EndpointSlices and Endpoints\n", "\n## How it is measured\n"} {
		if n := strings.Count(text, title); n != 1 {
			t.Errorf("the page has the section %q %d times", title, n)
		}
	}
	if strings.Index(text, "## Admission webhooks") > strings.Index(text, "## EndpointSlices and Endpoints") {
		t.Error("the sections have changed places")
	}
}

func TestAShortRunTakesEveryFigureOfTheWebhooks(t *testing.T) {
	prereq.Root(t)
	got := shortRun(t, "-only=webhooks", "-admission=30", "-requests=12", "-loads=2,2@50")
	var have, want []string
	for _, a := range got.Admission {
		have = append(have, a.Webhooks+" "+a.Clients)
		with := []quantiles{a.Own, a.Mutating, a.Validating, a.SeenMutating, a.SeenValidating, a.SeenBoth}
		for i, q := range append(with, a.Create, a.Update, a.Delete) {
			if (q.Samples == 0) != (a.Webhooks == without.name && i < len(with)) {
				t.Errorf("%s, %s clients: %d samples of figure %d", a.Webhooks, a.Clients, q.Samples, i)
			}
		}
	}
	for _, way := range ways[:len(ways)-1] {
		want = append(want, way.name+" 2", way.name+" 2, 50/s")
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("measured (-want +got):\n%s", diff)
	}
}
