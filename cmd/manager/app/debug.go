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

package app

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"

	"switchyard.dev/switchyard/internal/loopback"
)

// debugPages are what --profiling adds to the metrics server: profiles, the stacks
// of all goroutines among them. They are for whom the API server allows to get
// their paths, as metrics are.
func debugPages() map[string]http.Handler {
	return map[string]http.Handler{
		"/debug/pprof/":        http.HandlerFunc(pprof.Index),
		"/debug/pprof/cmdline": http.HandlerFunc(pprof.Cmdline),
		"/debug/pprof/profile": http.HandlerFunc(pprof.Profile),
		"/debug/pprof/symbol":  http.HandlerFunc(pprof.Symbol),
		"/debug/pprof/trace":   http.HandlerFunc(pprof.Trace),
	}
}

// validateProfiling refuses to show what is in memory to whoever asks.
func (o *Options) validateProfiling() error {
	switch {
	case !o.Profiling:
		return nil
	case !served(o.Metrics.BindAddress):
		return errors.New("--profiling shows its pages beside the metrics, which are not served: give --metrics-bind-address")
	case !o.Metrics.Secure && !loopback.Address(o.Metrics.BindAddress):
		return fmt.Errorf("--profiling with --metrics-secure=false would show %s to whoever reaches it: serve at a loopback address, or leave metrics secure",
			o.Metrics.BindAddress)
	}
	return nil
}
