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

package webhooks

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/allocator"
)

// The parts of the time that a request takes.
const (
	partOwn    = "own"    // ours
	partServer = "server" // until the API server had answered what we asked it
)

var allocationDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
	Name:    "switchyard_allocator_request_duration_seconds",
	Help:    "Time to decide about the numbers of one Service, by part: own work, and what was waited for the API server.",
	Buckets: []float64{.0001, .00025, .0005, .001, .002, .003, .004, .005, .0075, .01, .015, .025, .05, .1, .25, .5, 1, 2},
	// For whoever reads native histograms: buckets that are a tenth wide.
	NativeHistogramBucketFactor:     1.1,
	NativeHistogramMaxBucketNumber:  100,
	NativeHistogramMinResetDuration: time.Hour,
}, []string{"part"})

func init() { metrics.Registry.MustRegister(allocationDuration) }

// timed tells what an admission request takes ourselves from what it waits for.
type timed struct{ admission.Handler }

func (t timed) Handle(ctx context.Context, request admission.Request) admission.Response {
	began := time.Now()
	waited := &wait{}
	response := t.Handler.Handle(context.WithValue(ctx, waitKey{}, waited), request)
	allocationDuration.WithLabelValues(partOwn).Observe((time.Since(began) - waited.sum).Seconds())
	if waited.sum > 0 {
		allocationDuration.WithLabelValues(partServer).Observe(waited.sum.Seconds())
	}
	return response
}

// wait is what one request has waited for the API server. What it asks side by
// side counts once: from when the first question is open until none is.
type wait struct {
	mu    sync.Mutex
	open  int
	since time.Time
	sum   time.Duration
}

type waitKey struct{}

func (w *wait) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open++; w.open == 1 {
		w.since = time.Now()
	}
}

func (w *wait) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open--; w.open == 0 {
		w.sum += time.Since(w.since)
	}
}

// waiting books the time of one call of the API server.
func waiting(ctx context.Context, call func() error) error {
	if waited, ok := ctx.Value(waitKey{}).(*wait); ok {
		waited.begin()
		defer waited.end()
	}
	return call()
}

// These are what requests ask the API server with.
type (
	timedClient   struct{ client.Client }
	timedReader   struct{ client.Reader }
	timedReleaser struct{ Releaser }
)

func (c timedClient) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	return waiting(ctx, func() error { return c.Client.Create(ctx, object, options...) })
}

func (c timedClient) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	return waiting(ctx, func() error { return c.Client.Delete(ctx, object, options...) })
}

func (r timedReader) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	return waiting(ctx, func() error { return r.Reader.Get(ctx, key, object, options...) })
}

func (r timedReader) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return waiting(ctx, func() error { return r.Reader.List(ctx, list, options...) })
}

func (r timedReleaser) Release(ctx context.Context, n allocator.Number) error {
	return waiting(ctx, func() error { return r.Releaser.Release(ctx, n) })
}
