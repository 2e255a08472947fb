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
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"
)

// metrics are what a process serves, in the binary form, which alone has native
// histograms.
type metrics map[string]*dto.MetricFamily

func scrape(ctx context.Context, client *http.Client, url string) (metrics, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading %s: %s", url, response.Status)
	}
	all := metrics{}
	for reader := bufio.NewReader(response.Body); ; {
		family := &dto.MetricFamily{}
		err := protodelim.UnmarshalOptions{MaxSize: -1}.UnmarshalFrom(reader, family)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", url, err)
		}
		all[family.GetName()] = family
	}
}

// histograms finds those with these labels, among others.
func (m metrics) histograms(name string, labels map[string]string) []*dto.Histogram {
	var all []*dto.Histogram
	for _, metric := range m[name].GetMetric() {
		matching := 0
		for _, label := range metric.Label {
			if labels[label.GetName()] == label.GetValue() {
				matching++
			}
		}
		if matching == len(labels) {
			all = append(all, metric.Histogram)
		}
	}
	return all
}

// native is a native histogram: how often a value was in (base^(i-1), base^i],
// base being 2^(2^-schema).
type native struct {
	schema int32
	counts map[int]int64
}

// nativeOf adds up histograms of the same schema.
func nativeOf(histograms []*dto.Histogram) native {
	n := native{counts: map[int]int64{}}
	for _, h := range histograms {
		n.schema = h.GetSchema()
		index, count, next := 0, int64(0), 0
		for _, span := range h.GetPositiveSpan() {
			index += int(span.GetOffset())
			for range span.GetLength() {
				count += h.GetPositiveDelta()[next]
				n.counts[index] += count
				index, next = index+1, next+1
			}
		}
	}
	return n
}

// since is what was counted after before. Where buckets were merged meanwhile, as
// there were too many, those of before are merged likewise.
func (n native) since(before native) native {
	left := native{n.schema, maps.Clone(n.counts)}
	for index, count := range before.counts {
		for schema := before.schema; schema > n.schema; schema-- {
			index = (index + 1) >> 1
		}
		left.counts[index] -= count
	}
	return left
}

// quantiles have, in place of values, the upper bounds of the buckets that they are in.
func (n native) quantiles() quantiles {
	var indexes []int
	total := int64(0)
	for index, count := range n.counts {
		if count > 0 {
			indexes, total = append(indexes, index), total+count
		}
	}
	if total == 0 {
		return quantiles{}
	}
	slices.Sort(indexes)
	bound := func(q float64) float64 {
		seen := int64(0)
		for _, index := range indexes {
			if seen += n.counts[index]; float64(seen) >= q*float64(total) {
				return math.Pow(2, float64(index)*math.Pow(2, -float64(n.schema))) * 1000
			}
		}
		return math.NaN()
	}
	return quantiles{Samples: int(total), P50: bound(0.5), P90: bound(0.9), P99: bound(0.99), Max: bound(1)}
}

// within is how many values of classic histograms were at most limit, and how many
// there were.
func within(histograms []*dto.Histogram, limit float64) (inside, all uint64) {
	for _, h := range histograms {
		all += h.GetSampleCount()
		for _, bucket := range h.GetBucket() {
			if bucket.GetUpperBound() == limit {
				inside += bucket.GetCumulativeCount()
			}
		}
	}
	return inside, all
}
