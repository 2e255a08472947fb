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
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"switchyard.dev/switchyard/cmd/node/app"
	"switchyard.dev/switchyard/internal/status"
)

// Beside kube-proxy, which has the agent's port, an answer is for an agent that is set
// by default, and says so.
func TestKubeProxysSettingsAreNotTheAgents(t *testing.T) {
	for name, tc := range map[string]struct{ metrics, says string }{
		"kube-proxy": {"kubeproxy_sync_proxy_rules_last_timestamp_seconds 1\n", "that an agent programs node-1, and is set so: kube-proxy answers here, not the agent"},
		"another":    {"go_goroutines 1\n", "that an agent programs node-1, and is set so: another program answers here, not the agent"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/metrics" {
					_, _ = fmt.Fprint(w, tc.metrics)
					return
				}
				_, _ = fmt.Fprint(w, `{"kubeproxy.config.k8s.io":{"clusterCIDR":"192.0.2.0/24"}}`)
			}))
			t.Cleanup(server.Close)
			flags := pflag.NewFlagSet("", pflag.ContinueOnError)
			app.AddViewFlags(flags)
			settings, err := agentOn{node: "node-1", url: server.URL}.settings(t.Context(), flags)
			if err != nil || settings.Known != "the agent's defaults" || !slices.Contains(settings.Assumed, tc.says) {
				t.Errorf("%q, %v: %q", settings.Known, err, settings.Assumed)
			}
			if _, err := (agentOn{url: server.URL}).configPage(t.Context()); !errors.Is(err, status.ErrAnother) {
				t.Errorf("the page is got all the same: %v", err)
			}
		})
	}
}

func TestAPageThatDoesNotEndIsNotReadOn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	if _, err := get(t.Context(), server.URL); err == nil || !strings.Contains(err.Error(), "more than 32 MiB") {
		t.Errorf("it is read: %v", err)
	}
}
