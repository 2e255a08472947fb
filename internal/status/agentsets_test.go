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
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/inventory"
)

func TestADaemonSetWithoutPodsIsAWarning(t *testing.T) {
	for name, tc := range map[string]struct {
		set   AgentSet
		agent bool
		want  string
	}{
		"all were refused":       {set: AgentSet{Wanted: 3, Created: ago(day)}, want: "the agents' DaemonSet wants 3 pods and has none: no switchyard-node runs"},
		"nobody looks at it":     {set: AgentSet{Unobserved: true, Created: ago(day)}, want: "no controller has looked at the agents' DaemonSet, which has no pod: no switchyard-node runs"},
		"it was just made":       {set: AgentSet{Wanted: 3, Created: ago(20 * time.Second)}},
		"no node is chosen":      {set: AgentSet{Created: ago(day)}},
		"one of them has agents": {set: AgentSet{Wanted: 3, Created: ago(day)}, agent: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := wellFacts()
			tc.set.Name = "switchyard-node"
			f.AgentSets = []AgentSet{tc.set}
			if !tc.agent {
				f.Agents, f.Answers = nil, nil
			}
			r := f.Report(now)
			if tc.want == "" {
				if !r.Well() {
					t.Errorf("warnings: %+v", r.Warnings)
				}
				return
			}
			if w := onlyWarning(t, r); w.Kind != AgentMissing || w.Message != tc.want || w.Objects[0] != "switchyard-node" ||
				!strings.Contains(w.Remedy, "kubectl -n switchyard-system describe daemonset switchyard-node") {
				t.Errorf("warning: %+v", w)
			}
		})
	}
}

func TestDaemonSetsAreReadWhereThereAreNoAgents(t *testing.T) {
	for name, tc := range map[string]struct {
		code   int
		want   []AgentSet
		unseen []string
	}{
		"one that has no pod":     {code: http.StatusOK, want: []AgentSet{{Name: "switchyard-node", Wanted: 2, Unobserved: true}}},
		"who may not list theirs": {code: http.StatusForbidden, unseen: []string{"whether there should be agents: you may not read them"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				pages := map[string]string{
					"/api":          `{"kind":"APIVersions","versions":["v1"]}`,
					"/apis":         `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"apps","versions":[{"groupVersion":"apps/v1","version":"v1"}],"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}}]}`,
					"/apis/apps/v1": `{"kind":"APIResourceList","groupVersion":"apps/v1","resources":[{"name":"daemonsets","kind":"DaemonSet","namespaced":true,"verbs":["list"]}]}`,
				}
				text, has := pages[r.URL.Path]
				switch {
				case has:
				case r.URL.Path != "/apis/apps/v1/namespaces/switchyard-system/daemonsets":
					w.WriteHeader(http.StatusNotFound)
				case tc.code != http.StatusOK:
					w.WriteHeader(tc.code)
					text = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`
				default:
					text = `{"kind":"DaemonSetList","apiVersion":"apps/v1","items":[
						{"metadata":{"name":"switchyard-node","generation":2},"status":{"desiredNumberScheduled":2,"observedGeneration":1}},
						{"metadata":{"name":"going","deletionTimestamp":"2026-11-22T12:00:00Z"}}]}`
					if want := "app.kubernetes.io/component=node,app.kubernetes.io/name=switchyard"; r.URL.Query().Get("labelSelector") != want {
						t.Errorf("it asks for %s", r.URL.RawQuery)
					}
				}
				_, _ = w.Write([]byte(text))
			}))
			t.Cleanup(server.Close)
			scheme, err := inventory.Scheme()
			if err != nil {
				t.Fatal(err)
			}
			reader, err := client.New(&rest.Config{Host: server.URL}, client.Options{Scheme: scheme})
			if err != nil {
				t.Fatal(err)
			}
			r := &reading{Asker: Asker{Reader: reader, System: "switchyard-system"}, facts: &Facts{}}
			r.agentSets(t.Context())
			if diff := cmp.Diff(tc.want, r.facts.AgentSets); diff != "" {
				t.Errorf("DaemonSets (-want +got):\n%s", diff)
			}
			var unseen []string
			for _, u := range r.facts.Unseen {
				unseen = append(unseen, u.What+": "+u.Reason)
			}
			if diff := cmp.Diff(tc.unseen, unseen); diff != "" {
				t.Errorf("not seen (-want +got):\n%s", diff)
			}
		})
	}
}
