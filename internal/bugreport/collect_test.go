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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// manyObjects is an API server that has so many of one kind, in pages of ten.
type manyObjects struct {
	path  string
	count int
	of    func(i int) string
	// counts tells that it says how many more there are.
	counts bool

	mutex sync.Mutex
	pages int
	read  []string
}

const pageOfTen = 10

func (m *manyObjects) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/log"):
		m.read = append(m.read, strings.Split(r.URL.Path, "/")[6])
		return
	case strings.Contains(r.URL.Path, "/configmaps/"):
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		return
	case !strings.HasSuffix(r.URL.Path, m.path):
		_, _ = fmt.Fprint(w, `{"kind":"List","apiVersion":"v1","metadata":{},"items":[]}`)
		return
	}
	m.pages++
	from := 0
	_, _ = fmt.Sscan(r.URL.Query().Get("continue"), &from)
	var items []string
	for i := from; i < min(from+pageOfTen, m.count); i++ {
		items = append(items, m.of(i))
	}
	metadata := "{}"
	if next := from + pageOfTen; next < m.count && m.counts {
		metadata = fmt.Sprintf(`{"continue":"%d","remainingItemCount":%d}`, next, m.count-next)
	} else if next < m.count {
		metadata = fmt.Sprintf(`{"continue":"%d"}`, next)
	}
	kind := "List"
	if strings.HasSuffix(m.path, "/pods") {
		kind = "PodList" // whom a typed client asks has to say so
	}
	_, _ = fmt.Fprintf(w, `{"kind":%q,"apiVersion":"v1","metadata":%s,"items":[%s]}`, kind, metadata, strings.Join(items, ","))
}

func (m *manyObjects) collector(t *testing.T, contents *Contents) *Collector {
	t.Helper()
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	return &Collector{
		Contents: contents, Config: &rest.Config{Host: server.URL, QPS: -1}, System: "switchyard-system",
		MostObjects: 1000, MostAgents: 3, MostOfLog: 1000,
	}
}

// A long list is read as far as there is room for it, and what is there of it is JSON.
func TestALongListKeepsItsFirstObjects(t *testing.T) {
	for name, tc := range map[string]struct {
		counts            bool
		most, all         int
		objects, kept     int
		pages             int
		manifest, nothing string
	}{
		"all of it":                   {objects: 25, most: 1 << 20, kept: 25, pages: 3, manifest: "nodes, 25\n", nothing: "left out"},
		"as many bytes as there may":  {objects: 95, most: 2000, kept: 6, pages: 1, manifest: "nodes, the first 6; at least 4 more were left out"},
		"and who counts them":         {objects: 95, most: 2000, counts: true, kept: 6, pages: 1, manifest: "nodes, the first 6; 89 more were left out"},
		"when all must become less":   {objects: 95, most: 1 << 20, all: 3000, kept: 8, pages: 10, manifest: "nodes, the first 8; 87 more were left out"},
		"one that is larger than all": {objects: 1, most: 100, kept: 0, pages: 1, manifest: "nodes, the first 0; 1 more were left out"},
	} {
		t.Run(name, func(t *testing.T) {
			api := &manyObjects{path: "/nodes", count: tc.objects, counts: tc.counts, of: func(i int) string {
				return fmt.Sprintf(`{"apiVersion":"v1","kind":"Node","metadata":{"name":"node-%d"},"pad":%q}`, i, strings.Repeat("a b ", 50))
			}}
			c := api.collector(t, &Contents{Most: tc.all, MostOfOne: tc.most})
			c.Objects(t.Context())
			var packed bytes.Buffer
			list, err := c.Write(&packed, "r", time.Unix(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			text := entriesOf(t, packed.Bytes())["r/objects/nodes.json"]
			var nodes struct{ Items []any }
			if err := json.Unmarshal([]byte(text), &nodes); err != nil || len(nodes.Items) != tc.kept {
				t.Errorf("%d items, %v, want %d", len(nodes.Items), err, tc.kept)
			}
			if tc.most < 1<<20 && len(text) > tc.most {
				t.Errorf("it has %d bytes", len(text))
			}
			if !strings.Contains(list, tc.manifest) || tc.nothing != "" && strings.Contains(list, tc.nothing) {
				t.Errorf("the list does not say %q:\n%s", tc.manifest, list)
			}
			if api.pages != tc.pages {
				t.Errorf("%d pages were read, want %d", api.pages, tc.pages)
			}
		})
	}
}

func TestADocumentIsNotCut(t *testing.T) {
	c := &Contents{MostOfOne: 100}
	c.AddDocument("long.json", "much", []byte(`{"a":"`+strings.Repeat("b ", 100)+`"}`))
	c.AddDocument("short.json", "little", []byte(`{"a":1}`))
	var packed bytes.Buffer
	list, err := c.Write(&packed, "r", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	all := entriesOf(t, packed.Bytes())
	delete(all, "r/"+manifestName)
	if diff := cmp.Diff(map[string]string{"r/short.json": `{"a":1}`}, all); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
	if !strings.Contains(list, "long.json: it was too long") {
		t.Errorf("list:\n%s", list)
	}
}

// Pods in trouble are found wherever they are in the list.
func TestLogsAreThoseOfPodsInTrouble(t *testing.T) {
	api := &manyObjects{path: "/namespaces/switchyard-system/pods", count: 25, of: func(i int) string {
		ready, restarts := "True", 0
		if i == 24 {
			ready = "False"
		}
		if i == 13 {
			restarts = 1
		}
		return fmt.Sprintf(`{"metadata":{"name":"pod-%d","namespace":"switchyard-system"},"spec":{"containers":[{"name":"c"}]},"status":{`+
			`"conditions":[{"type":"Ready","status":%q}],"containerStatuses":[{"name":"other","restartCount":%d}]}}`, i, ready, restarts)
	}}
	c := api.collector(t, &Contents{})
	c.Logs(t.Context())
	read := map[string]bool{}
	for _, name := range api.read {
		read[name] = true
	}
	if diff := cmp.Diff(map[string]bool{"pod-0": true, "pod-13": true, "pod-24": true}, read); diff != "" {
		t.Errorf("logs (-want +got):\n%s", diff)
	}
	want := Missing{"logs of pods of switchyard-system", "those of 22 more pods were left out, 0 of which are in trouble"}
	if len(c.missing) != 1 || c.missing[0] != want {
		t.Errorf("missing: %+v", c.missing)
	}
}

// A log is cut once, between lines, before its secrets are looked for: what is left of
// a line that was cut within says nothing of what it was.
func TestTheEndOfALogIsWholeLines(t *testing.T) {
	line := "password=" + hunter + "\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, strings.Repeat(line, 8)+"last\n")
	}))
	t.Cleanup(server.Close)
	clients, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	for most, lines := range map[int]int{
		len("last\n") + 3*len(line):     3,
		len("last\n") + 3*len(line) + 1: 3,
		len("last\n") + 3*len(line) - 1: 2,
		1 << 20:                         8,
		3:                               -1,
	} {
		c := &Collector{Contents: &Contents{}, MostOfLog: most}
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
		c.log(t.Context(), clients, pod, "c", false, "web.log")
		want := ""
		if lines >= 0 {
			want = strings.Repeat("password=[redacted]\n", lines) + "last\n"
		}
		if len(c.entries) != 1 || string(c.entries[0].text) != want {
			t.Errorf("of %d bytes: %+v, %v, want %q", most, c.entries, c.missing, want)
		}
	}
}
