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
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
)

// Each manager has judged what it has judged, and none of it is another's.
func TestWhatManagersHaveJudgedIsAddedUp(t *testing.T) {
	pages := &agents{pages: func(node string) http.Handler {
		judged := map[string]int{"node-1": 5, "node-2": 7}[node]
		return agentPages(fmt.Sprintf("switchyard_admission_requests_total{result=\"allowed\"} %d\n", judged), http.StatusOK)
	}}
	r := &reading{Asker: Asker{Tunnels: pages, ManagerPage: 8080}, facts: &Facts{}}
	r.Limits.Defaults()
	for _, m := range crowd(2) {
		tunnel, err := pages.Open(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		r.judged(t.Context(), tunnel)
	}
	if diff := cmp.Diff(map[string]int{"allowed": 12}, r.facts.Judged); diff != "" {
		t.Errorf("judged (-want +got):\n%s", diff)
	}
}

// While one agent takes the place of another, what is wrong with one is not said of
// the other.
func TestTwoAgentsOfANodeAreTwo(t *testing.T) {
	tunnels := &agents{pages: func(string) http.Handler { return agentPages(agentPage, http.StatusOK) }}
	limits := Limits{}
	limits.Defaults()
	both := []Instance{pod("agent-old", "node-1"), pod("agent-new", "node-1")}
	answers, err := limits.ask(t.Context(), tunnels, both)
	if err != nil || len(answers) != 2 {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	f := wellFacts()
	f.Nodes, f.Agents, f.Answers = f.Nodes[:1], both, map[string]Answer{"agent-old": {Err: errNotAsked}, "agent-new": answer()}
	f.Chosen = map[string]bool{"agent-old": true, "agent-new": true}
	r := f.Report(now)
	if silent := r.Agents.Silent; silent != 1 {
		t.Errorf("%d are silent", silent)
	}
	if w := onlyWarning(t, r); w.Kind != AgentSilent || len(w.Objects) != 1 {
		t.Errorf("warning: %+v", w)
	}
	f.Answers["agent-new"] = Answer{Err: errNotAsked}
	if w := onlyWarning(t, f.Report(now)); len(w.Objects) != 1 {
		t.Errorf("the node is named twice: %v", w.Objects)
	}
}

func TestCountsOfTheAPIServerAreThoseOfItsPage(t *testing.T) {
	for name, tc := range map[string]struct {
		code     int
		requests int
		unseen   bool
	}{
		"who may read it": {code: http.StatusOK, requests: 4},
		"who may not":     {code: http.StatusForbidden, unseen: true},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/metrics" {
					t.Errorf("it asks for %s", r.URL.Path)
				}
				w.WriteHeader(tc.code)
				_, _ = fmt.Fprintln(w, `apiserver_admission_webhook_request_total{name="v.switchyard.dev",type="validating"} 4`)
			}))
			t.Cleanup(server.Close)
			r := &reading{Asker: Asker{Config: &rest.Config{Host: server.URL}}, facts: &Facts{Webhooks: []Webhook{{Name: "v.switchyard.dev"}}}}
			r.counts(t.Context())
			if unseen := len(r.facts.Unseen) == 1 && r.facts.Unseen[0].Forbidden; unseen != tc.unseen {
				t.Errorf("not seen: %+v", r.facts.Unseen)
			}
			if of := r.facts.Webhooks[0].Counts; tc.unseen != (of == nil) || of != nil && of.Requests != tc.requests {
				t.Errorf("counts: %+v", of)
			}
		})
	}
}
