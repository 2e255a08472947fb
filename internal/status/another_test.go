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

package status

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// kubeProxyPage is what kube-proxy says on the port that is the agent's otherwise.
const kubeProxyPage = `# HELP kubeproxy_sync_proxy_rules_endpoint_changes_pending Pending proxy rules Endpoint changes
# TYPE kubeproxy_sync_proxy_rules_endpoint_changes_pending gauge
kubeproxy_sync_proxy_rules_endpoint_changes_pending 0
kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} 1.7952001e+09
kubernetes_build_info{git_version="v1.37.1"} 1
process_start_time_seconds 1.7952e+09
`

// Beside kube-proxy, which has the ports, an agent is silent: what kube-proxy says of
// itself is not the agent's account.
func TestAnotherProgramIsNotTheAgent(t *testing.T) {
	for name, tc := range map[string]struct{ page, says string }{
		"kube-proxy":           {kubeProxyPage, "port 10249: kube-proxy answers here, not the agent"},
		"something else":       {"go_goroutines 12\nprocess_start_time_seconds 1.7952e+09\n", "port 10249: another program answers here, not the agent"},
		"one that tells of us": {"# switchyard_node_build_info\nx_switchyard_node_build_info 1\n", "port 10249: another program answers here, not the agent"},
		"an agent's":           {agentPage, ""},
		"one with it first":    {metricBuild + `{version="v1"} 1` + "\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tunnels := &agents{pages: func(string) http.Handler { return agentPages(tc.page, http.StatusServiceUnavailable) }}
			limits := Limits{Each: time.Minute}
			limits.Defaults()
			answers, err := limits.ask(t.Context(), tunnels, crowd(1))
			if err != nil {
				t.Fatal(err)
			}
			answer := answers["agent-node-1"]
			if tc.says == "" {
				if answer.Err != nil || answer.Version == "" {
					t.Errorf("an agent is taken for another: %+v", answer)
				}
				return
			}
			if !errors.Is(answer.Err, ErrAnother) || answer.Err.Error() != tc.says {
				t.Errorf("it is told of with %v", answer.Err)
			}
			if diff := cmp.Diff(Answer{Err: answer.Err}, answer, cmp.Comparer(errors.Is)); diff != "" {
				t.Errorf("what another says is taken over (-want +got):\n%s", diff)
			}
			for _, ready := range []bool{true, false} {
				f := wellFacts()
				f.Agents[0].Ready = ready
				f.Answers["agent-1"] = answer
				var texts []string
				for _, w := range f.Report(now).Warnings {
					if w.Kind == AgentSilent {
						texts = append(texts, w.Message)
					}
				}
				if len(texts) != 1 || !strings.HasSuffix(texts[0], tc.says) {
					t.Errorf("ready %v: the warnings are %q", ready, texts)
				}
			}
		})
	}
}

// Who has only the agent's port of health is told apart as well: kube-proxy has no
// /readyz.
func TestAnotherProgramsHealthIsNotTheAgents(t *testing.T) {
	for name, tc := range map[string]struct{ healthz, says string }{
		"kube-proxy":     {`{"lastUpdated": "2026-11-22 06:47:08","currentTime": "2026-11-22 06:47:08"}`, "port 10256: kube-proxy answers here, not the agent"},
		"something else": {"ok", "port 10256: another program answers here, not the agent"},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, agentPage) })
			mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, tc.healthz) })
			mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
			limits := Limits{Each: time.Minute}
			limits.Defaults()
			answers, err := limits.ask(t.Context(), &agents{pages: func(string) http.Handler { return mux }}, crowd(1))
			if err != nil {
				t.Fatal(err)
			}
			if answer := answers["agent-node-1"]; !errors.Is(answer.Err, ErrAnother) || answer.Err.Error() != tc.says || answer.Late {
				t.Errorf("it is told of with %+v", answer)
			}
		})
	}
}
