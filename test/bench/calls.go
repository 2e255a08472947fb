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
	"net"
	"os"
	"slices"
	"sync"
	"time"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// calls are what the API server's own spans say of the webhooks that it called:
// the whole call as it saw it, request by request. Its metric of the same
// has buckets of 5 and 25 ms only.
type calls struct {
	collectorv1.UnimplementedTraceServiceServer
	listener net.Listener
	server   *grpc.Server

	mu     sync.Mutex
	traces map[string]*call
}

// call is one request to the API server. A webhook that was not called is 0.
type call struct {
	began                time.Time
	mutating, validating time.Duration
}

func (c call) both() time.Duration { return c.mutating + c.validating }

// The names that the API server gives its spans (k8s.io/apiserver,
// pkg/admission/plugin/webhook).
const (
	mutatingSpan   = "Call mutating webhook"
	validatingSpan = "Call validating webhook"
)

// collectCalls listens for spans.
func collectCalls() (*calls, error) {
	c := &calls{traces: map[string]*call{}, server: grpc.NewServer()}
	var err error
	if c.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	collectorv1.RegisterTraceServiceServer(c.server, c)
	go func() { _ = c.server.Serve(c.listener) }()
	return c, nil
}

// writeConfig tells an API server to send the spans of all requests.
func (c *calls) writeConfig(path string) error {
	return os.WriteFile(path, fmt.Appendf(nil, `apiVersion: apiserver.config.k8s.io/v1
kind: TracingConfiguration
endpoint: %s
samplingRatePerMillion: 1000000
`, c.listener.Addr()), 0o600)
}

// Export implements the collector.
func (c *calls) Export(_ context.Context, request *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				c.add(span)
			}
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

func (c *calls) add(span *tracev1.Span) {
	if span.Name != mutatingSpan && span.Name != validatingSpan {
		return
	}
	of := c.traces[string(span.TraceId)]
	if of == nil {
		of = &call{}
		c.traces[string(span.TraceId)] = of
	}
	took := time.Duration(span.EndTimeUnixNano - span.StartTimeUnixNano)
	if span.Name == validatingSpan {
		of.validating = max(of.validating, took) // validating webhooks are called side by side
		return
	}
	of.mutating += took
	of.began = time.Unix(0, int64(span.StartTimeUnixNano))
}

// between are the requests of a time that both kinds of webhooks were called for.
func (c *calls) between(from, to time.Time) []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []call
	for _, one := range c.traces {
		if one.mutating > 0 && one.validating > 0 && one.began.After(from) && one.began.Before(to) {
			all = append(all, *one)
		}
	}
	slices.SortFunc(all, func(a, b call) int { return a.began.Compare(b.began) })
	return all
}

func (c *calls) close() { c.server.Stop() }
