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

package bugreport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
)

// configMaps is an API server with ConfigMaps in switchyard-system alone: those listed
// have our label, and what stands in place of one that has none is the answer's code.
type configMaps struct {
	labelled string
	list     int
	one      map[string]int
}

func (m *configMaps) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	const all = "/api/v1/namespaces/switchyard-system/configmaps"
	status := func(code int) {
		w.WriteHeader(code)
		reasons := map[int]string{http.StatusForbidden: "Forbidden", http.StatusNotFound: "NotFound"}
		_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":"no","code":%d}`, reasons[code], code)
	}
	item := func(name string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"managedFields":[{"manager":"x"}]},`+
			`"data":{"config.conf":"clusterCIDR: 10.244.0.0/16\npassword: %s\n"}}`, name, hunter)
	}
	code, listed := http.StatusOK, r.URL.Path == all
	switch {
	case listed:
		code = m.list
	case path.Dir(r.URL.Path) == all:
		code = m.one[path.Base(r.URL.Path)]
	}
	switch {
	case code != http.StatusOK:
		status(code)
	case !listed && path.Dir(r.URL.Path) == all:
		_, _ = fmt.Fprint(w, item(path.Base(r.URL.Path)))
	case listed && r.URL.Query().Get("labelSelector") == ours:
		_, _ = fmt.Fprintf(w, `{"kind":"ConfigMapList","apiVersion":"v1","metadata":{},"items":[%s]}`, item(m.labelled))
	default:
		_, _ = fmt.Fprint(w, `{"kind":"List","apiVersion":"v1","metadata":{},"items":[]}`)
	}
}

// Users make the ConfigMaps of the agents, without our label: what an agent does is
// told by them.
func TestConfigurationThatUsersMakeIsRead(t *testing.T) {
	const forbidden, missing = http.StatusForbidden, http.StatusNotFound
	for name, tc := range map[string]struct {
		labelled   string
		list       int
		node, host int
		want       []string
		missing    []Missing
	}{
		"both":         {labelled: "our-own", list: 200, node: 200, host: 200, want: []string{"our-own", "switchyard-apiserver", "switchyard-node"}},
		"none of them": {labelled: "our-own", list: 200, node: missing, host: missing, want: []string{"our-own"}},
		// As the chart makes it. Who may list it may perhaps not get it.
		"one has our label": {labelled: "switchyard-node", list: 200, node: forbidden, host: missing, want: []string{"switchyard-node"}},
		"one may be read by its name": {list: forbidden, node: 200, host: forbidden, want: []string{"switchyard-node"}, missing: []Missing{
			{"configmaps of namespace switchyard-system", "you may not read them"},
			{"switchyard-apiserver of configmaps of namespace switchyard-system", "you may not read them"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(&configMaps{
				labelled: tc.labelled, list: tc.list, one: map[string]int{"switchyard-node": tc.node, "switchyard-apiserver": tc.host},
			})
			t.Cleanup(server.Close)
			c := &Collector{Contents: &Contents{}, Config: &rest.Config{Host: server.URL, QPS: -1}, System: "switchyard-system", MostObjects: 10}
			c.Objects(t.Context())
			if diff := cmp.Diff(tc.missing, c.missing); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
			var packed bytes.Buffer
			manifest, err := c.Write(&packed, "r", time.Unix(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			text := entriesOf(t, packed.Bytes())["r/objects/configmaps.json"]
			var got struct {
				Items []struct{ Metadata struct{ Name string } }
			}
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, item := range got.Items {
				names = append(names, item.Metadata.Name)
			}
			if diff := cmp.Diff(tc.want, names); diff != "" {
				t.Errorf("ConfigMaps (-want +got):\n%s", diff)
			}
			if strings.Contains(text, hunter) || strings.Contains(text, "managedFields") || !strings.Contains(text, "clusterCIDR: 10.244.0.0/16") {
				t.Errorf("it is not cleaned, or lacks what counts: %s", text)
			}
			if want := fmt.Sprintf("our configuration, %d\n", len(tc.want)); !strings.Contains(manifest, want) {
				t.Errorf("the list does not say %q:\n%s", want, manifest)
			}
		})
	}
}
