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
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"
	proxyconfig "k8s.io/kube-proxy/config/v1alpha1"

	"switchyard.dev/switchyard/internal/version"
)

// pages are what the metrics server shows beside metrics, under the paths that
// kube-proxy has them at.
type pages struct {
	started time.Time
	log     logging
	current atomic.Pointer[resolved]
}

// add puts the pages on mux.
func (p *pages) add(mux *http.ServeMux, profiling bool) {
	mux.HandleFunc("/configz", p.config)
	mux.HandleFunc("/flagz", p.flags)
	mux.HandleFunc("/statusz", p.status)
	if !profiling {
		return
	}
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("PUT /debug/flags/v", p.setVerbosity)
}

// config is the configuration in effect, keyed by its API group, and our own
// options beside it.
func (p *pages) config(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	o := p.current.Load().options
	_ = json.NewEncoder(w).Encode(map[string]any{proxyconfig.GroupName: o.Proxy, ownGroup: o.Own})
}

// notParsed is what the pages for people begin with, as upstream's do.
const notParsed = "Warning: This endpoint is not meant to be machine parseable, " +
	"has no formatting compatibility guarantees and is for debugging purposes only.\n\n"

func (p *pages) flags(w http.ResponseWriter, _ *http.Request) {
	plain(w, "flagz")
	p.current.Load().flags.VisitAll(func(f *pflag.Flag) { fmt.Fprintf(w, "%s=%s\n", f.Name, f.Value) })
}

func (p *pages) status(w http.ResponseWriter, _ *http.Request) {
	plain(w, "statusz")
	fmt.Fprintf(w, "Started: %s\nUp: %s\nBinary version: %s\nPaths: /configz /flagz /healthz /metrics /proxyMode /statusz\n",
		p.started.UTC().Format(time.RFC1123), time.Since(p.started).Round(time.Second), version.String())
}

func plain(w http.ResponseWriter, page string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	fmt.Fprintf(w, "\n%s %s\n%s", component, page, notParsed)
}

func (p *pages) setVerbosity(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(io.LimitReader(r.Body, 16))
	verbosity, err := strconv.Atoi(string(text))
	if err != nil || verbosity < 0 {
		http.Error(w, fmt.Sprintf("%q is not a verbosity: put a number, as in 2", text), http.StatusBadRequest)
		return
	}
	p.log.setVerbosity(verbosity)
	fmt.Fprintf(w, "successfully set klog.logging.verbosity to %d", verbosity)
}
