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

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/inventory"
)

// An API server that answers and can not read what it has is no cluster in order.
func TestAnAPIServerThatCanListNothingIsNotWell(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/version":
			_, _ = w.Write([]byte(`{"gitVersion":"v1.37.1"}`))
		case strings.Contains(r.URL.RawQuery, "limit=") || strings.Contains(r.URL.Path, "/leases/"):
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"etcdserver: request timed out","code":500}`))
		case r.URL.Path == "/api":
			_, _ = w.Write([]byte(`{"kind":"APIVersions","versions":["v1"]}`))
		case r.URL.Path == "/apis":
			_, _ = w.Write([]byte(`{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`))
		case r.URL.Path == "/api/v1":
			_, _ = w.Write([]byte(`{"kind":"APIResourceList","groupVersion":"v1","resources":[` +
				`{"name":"pods","kind":"Pod","namespaced":true,"verbs":["list"]},{"name":"nodes","kind":"Node","verbs":["list"]}]}`))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	config := &rest.Config{Host: server.URL}
	scheme, err := inventory.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	reader, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	asker := Asker{
		Reader: reader, Config: config, System: "switchyard-system", Now: time.Now,
		Look: func() (*inventory.Index, error) { return wellFacts().Index, nil },
	}
	facts, err := asker.Ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := facts.Report(time.Now())
	if !r.Well() || !r.Partial() {
		t.Errorf("partial is %v; warnings: %+v; not seen: %+v", r.Partial(), r.Warnings, r.NotSeen)
	}
	for _, what := range []string{"Nodes", "the pods of DNS", "the pods of namespace switchyard-system"} {
		found := false
		for _, u := range r.NotSeen {
			found = found || u.What == what && strings.Contains(u.Reason, "request timed out") && !u.Absent && !u.Forbidden
		}
		if !found {
			t.Errorf("it does not say that %s could not be read: %+v", what, r.NotSeen)
		}
	}
}
