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
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"switchyard.dev/switchyard/test/testenv/process"
)

// follow changes the readiness of pods so often in a second, whatever becomes of
// it, and takes what that costs the subject.
func (b *endpointsBench) follow(ctx context.Context, p *process.Process, subject endpointsSubject, rate int, large bool) (r changesResult, err error) {
	writesBefore, err := b.writes(ctx)
	if err != nil {
		return r, err
	}
	plansBefore, err := plansOf(ctx, subject)
	if err != nil {
		return r, err
	}
	before, err := p.CPU()
	if err != nil {
		return r, err
	}
	r.PerSecond = rate
	changes, took, err := b.changeAll(ctx, rate, large)
	if err != nil {
		return r, err
	}
	r.Changes, r.Seconds = len(changes), took.Seconds()
	err = until(ctx, subject.patience(), func() (bool, error) {
		_, unseen := b.seen.latencies(changes, time.Now())
		_, _, _, err := b.seen.progress()
		return unseen == 0, errors.Join(err, p.Alive())
	})
	if err != nil && !errors.Is(err, errPatience) {
		return r, err
	}
	all, unseen := b.seen.latencies(changes, time.Now())
	r.Latency, r.Unseen = quantilesOf(all), unseen
	if err := b.settle(ctx, subject); err != nil {
		return r, err
	}
	after, err := p.CPU()
	if err != nil {
		return r, err
	}
	writesAfter, err := b.writes(ctx)
	if err != nil {
		return r, err
	}
	r.CPU = milliseconds(after-before) / float64(max(1, r.Changes))
	plansAfter, err := plansOf(ctx, subject)
	if err != nil {
		return r, err
	}
	if subject.metrics != "" {
		r.Plans = difference(plansBefore, plansAfter)
	}
	r.Writes = difference(writesBefore, writesAfter)
	return r, nil
}

func (b *endpointsBench) changeAll(ctx context.Context, rate int, large bool) (changes []*changed, took time.Duration, err error) {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	began := time.Now()
	for n := range max(1, int(b.options.changes.Seconds()*float64(rate))) {
		select {
		case <-ctx.Done():
			return nil, 0, errors.Join(ctx.Err(), group.Wait())
		case <-time.After(time.Until(began.Add(time.Duration(n) * time.Second / time.Duration(rate)))):
		}
		pod := b.next(b.seen, large)
		if pod == nil {
			continue // all of them are waited for
		}
		change := b.seen.turn(pod.Name)
		group.Go(func() error {
			err := b.write(ctx, change.pod, change.ready)
			b.seen.acknowledge(change)
			mu.Lock()
			defer mu.Unlock()
			changes = append(changes, change)
			return err
		})
	}
	err = group.Wait()
	return changes, time.Since(began), err
}

// settle waits until nothing is written any more.
func (b *endpointsBench) settle(ctx context.Context, subject endpointsSubject) error {
	before, err := b.writes(ctx)
	for deadline := time.Now().Add(subject.patience()); err == nil && time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
		var now map[string]int
		if now, err = b.writes(ctx); maps.Equal(before, now) {
			break
		}
		before = now
	}
	return err
}

var (
	// written are the resources that a subject may write, and the benchmark does not.
	written = []string{"endpointslices", "endpoints", "events"}
	// writing are the verbs that change something, as the API server's metrics have them.
	writing = []string{http.MethodPost, http.MethodPut, http.MethodPatch, "APPLY", http.MethodDelete}
)

// writes counts requests that change something, by resource, since the API server
// started, refused ones included.
func (b *endpointsBench) writes(ctx context.Context) (map[string]int, error) {
	server, err := rest.HTTPClientFor(b.config)
	if err != nil {
		return nil, err
	}
	all, err := scrape(ctx, server, strings.TrimSuffix(b.config.Host, "/")+"/metrics")
	if err != nil {
		return nil, err
	}
	return writesIn(all), nil
}

// plansOf counts the plans of slices since the subject started, by what they were
// of: all pods of a Service, or those that had changed.
func plansOf(ctx context.Context, subject endpointsSubject) (map[string]int, error) {
	counts := map[string]int{}
	if subject.metrics == "" {
		return counts, nil
	}
	all, err := scrape(ctx, http.DefaultClient, subject.metrics)
	if err != nil {
		return nil, err
	}
	for _, metric := range all["switchyard_endpoints_slice_plans_total"].GetMetric() {
		counts[metric.GetLabel()[0].GetValue()] = int(metric.GetCounter().GetValue())
	}
	return counts, nil
}

func writesIn(all metrics) map[string]int {
	counts := map[string]int{}
	for _, metric := range all["apiserver_request_total"].GetMetric() {
		labels := map[string]string{}
		for _, label := range metric.Label {
			labels[label.GetName()] = label.GetValue()
		}
		resource := labels["resource"]
		if slices.Contains(written, resource) && slices.Contains(writing, labels["verb"]) {
			counts[resource] += int(metric.GetCounter().GetValue())
		}
	}
	return counts
}

// difference is what was counted after before.
func difference(before, after map[string]int) map[string]int {
	left := map[string]int{}
	for name, count := range after {
		if count > before[name] {
			left[name] = count - before[name]
		}
	}
	return left
}
