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
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"switchyard.dev/switchyard/test/testenv"
)

func TestCleanKeepsOnlyWhatIsKnownToBeHarmless(t *testing.T) {
	const object = `{"kind":"Pod","metadata":{"managedFields":[{"x":1}],"name":"a","annotations":{
		"kubectl.kubernetes.io/last-applied-configuration":"hunter2","example.com/x":"hunter2","plain":"hunter2","evilkubernetes.io/x":"hunter2",
		"switchyard.dev/retain":"true","service.kubernetes.io/topology-mode":"Auto"}},
		"spec":{"containers":[{"args":["--token","hunter2","--v=2"],"command":["run"],
		"env":[{"name":"ANY","value":"hunter2"},{"name":"NODE_NAME","value":"n"},{"name":"FROM","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]}]},
		"status":{"images":[{"names":["x"]},{"names":["y"]}]}}`
	var got, want map[string]any
	if err := json.Unmarshal([]byte(object), &got); err != nil {
		t.Fatal(err)
	}
	Clean(got)
	if err := json.Unmarshal([]byte(`{"kind":"Pod","metadata":{"name":"a","annotations":{
		"example.com/x":"[redacted]","plain":"[redacted]","evilkubernetes.io/x":"[redacted]","switchyard.dev/retain":"true","service.kubernetes.io/topology-mode":"Auto"}},
		"spec":{"containers":[{"args":["--token","[redacted]","--v=2"],"command":["run"],
		"env":[{"name":"ANY","value":"[redacted]"},{"name":"NODE_NAME","value":"n"},{"name":"FROM","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]}]},
		"status":{"images":["2 left out"]}}`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("object (-want +got):\n%s", diff)
	}
	secret := map[string]any{"kind": "Secret", "data": map[string]any{"a": "aHVudGVyMg=="}}
	if Clean(secret); len(secret) != 1 {
		t.Errorf("a Secret keeps %v", secret)
	}
}

func TestNamesAreReplacedWhereverTheyStand(t *testing.T) {
	names := NewNames()
	for _, name := range []string{"shop", "web", "node-1", "kube-system", "switchyard-manager"} {
		names.Add(name)
	}
	web, shop, node := names.known["web"], names.known["shop"], names.known["node-1"]
	for text, want := range map[string]string{
		`{"name":"web","namespace":"shop"}`:         `{"name":"` + web + `","namespace":"` + shop + `"}`,
		"web.shop.svc.cluster.local.":               web + "." + shop + ".svc.cluster.local.",
		"shop/web:80":                               shop + "/" + web + ":80",
		"web-6d4cf56db6-x7x2z on announcer-node-1":  web + "-6d4cf56db6-x7x2z on announcer-" + node,
		`"generateName": "web-"`:                    `"generateName": "` + web + `-"`,
		"a webhook of website in kube-system":       "a webhook of website in kube-system",
		"switchyard-manager and switchyard-webhook": "switchyard-manager and switchyard-webhook",
		"node-10 web.":                              "node-10 " + web + ".",
		"10.96.0.1 -.- ":                            "10.96.0.1 -.- ",
	} {
		if got := names.Replace(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	other := NewNames()
	other.Add("web")
	if other.known["web"] == web {
		t.Error("two reports give the same names: they can be guessed")
	}
}

// entriesOf are the files of an archive.
func entriesOf(t *testing.T, packed []byte) map[string]string {
	t.Helper()
	all := map[string]string{}
	testenv.Untar(t, packed, func(header *tar.Header, text string) {
		if header.Mode != 0o600 {
			t.Errorf("%s has the mode %o", header.Name, header.Mode)
		}
		all[header.Name] = text
	})
	return all
}

func TestAnArchiveStaysWithinItsBounds(t *testing.T) {
	c := &Contents{Most: 1000, MostOfOne: 700}
	c.Add("long", "a log", []byte(strings.Repeat("a", 5000)+"END"))
	c.Add("longer", "another", []byte(strings.Repeat("b", 9000)+"END"))
	c.Add("short", "a note", []byte("short password=hunter2"))
	c.Add("../../etc/passwd", "a name that climbs", []byte("x"))
	c.Miss("Services", "you may not: password=%s", "hunter2")
	var packed bytes.Buffer
	list, err := c.Write(&packed, "report", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	all, total := entriesOf(t, packed.Bytes()), 0
	for name, text := range all {
		if name != "report/MANIFEST.txt" {
			total += len(text)
		}
		if !strings.HasPrefix(name, "report/") || strings.Contains(name, "..") {
			t.Errorf("an entry is called %s", name)
		}
	}
	if total > 1000 || total < 700 {
		t.Errorf("it has %d bytes", total)
	}
	if !strings.HasSuffix(all["report/long"], "END") || !strings.HasSuffix(all["report/longer"], "END") || all["report/short"] != "short password=[redacted]" {
		t.Error("the ends of what is long, or what is short, are lost")
	}
	if all["report/MANIFEST.txt"] != list || !strings.Contains(list, "its end; it was longer") || !strings.Contains(list, "Services: you may not: password=[redacted]") {
		t.Errorf("list:\n%s", list)
	}
}

// Where lists alone are more than there may be, they are empty, and that is all.
func TestAnArchiveOfNothingButListsEnds(t *testing.T) {
	c := &Contents{Most: 10}
	c.add(Entry{Name: "list.json", list: true, items: [][]byte{[]byte("{}"), []byte("{}")}})
	var packed bytes.Buffer
	if _, err := c.Write(&packed, "r", time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	if text := entriesOf(t, packed.Bytes())["r/list.json"]; !json.Valid([]byte(text)) || strings.Contains(text, "{}") {
		t.Errorf("it has %s", text)
	}
}

// An API server of which half is away gives what the other half has.
func TestWhatCanNotBeReadKeepsNothingElseOut(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/services"):
			<-r.Context().Done() // it hangs
		case strings.HasSuffix(r.URL.Path, "/nodes") && r.URL.Query().Get("continue") == "":
			_, _ = fmt.Fprint(w, `{"kind":"NodeList","apiVersion":"v1","metadata":{"continue":"x"},"items":[{"metadata":{"name":"first"}}]}`)
		case strings.HasSuffix(r.URL.Path, "/nodes"):
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"etcd is away","code":500}`)
		case strings.HasSuffix(r.URL.Path, "/endpoints"):
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`)
		case strings.HasSuffix(r.URL.Path, "/secrets"):
			t.Error("it asks for Secrets")
		default:
			_, _ = fmt.Fprint(w, `{"kind":"List","apiVersion":"v1","metadata":{},"items":[]}`)
		}
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	c := &Collector{Contents: &Contents{}, Config: &rest.Config{Host: server.URL, QPS: -1}, System: "switchyard-system", MostObjects: 10, MostAgents: 10, MostOfLog: 1000}
	c.Objects(ctx)
	var packed bytes.Buffer
	list, err := c.Write(&packed, "r", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	all := entriesOf(t, packed.Bytes())
	if !strings.Contains(all["r/objects/nodes.json"], "first") || !strings.Contains(all["r/objects/endpointslices.json"], "items") {
		t.Errorf("what could be read is not in it: %s", list)
	}
	for _, want := range []string{"services: there was no time left", "nodes: etcd is away", "endpoints: you may not read them"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list does not say %q:\n%s", want, list)
		}
	}
}

// What a report tells of goes beyond what it lists: names are learnt of all, page by
// page, and what may not be listed is said.
func TestNamesAreLearntOfAllNamespaces(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		page := func(next, name, namespace string) {
			_, _ = fmt.Fprintf(w, `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"continue":%q},"items":[{"metadata":{"name":%q,"namespace":%q}}]}`, next, name, namespace)
		}
		switch next := r.URL.Query().Get("continue"); {
		case r.URL.Path == "/api/v1/services" && next == "":
			page("x", "first-page", "demo")
		case r.URL.Path == "/api/v1/services":
			page("", "unreachable", "far-away")
		case r.URL.Path == "/api/v1/pods":
			page("", "in-no-slice", "demo")
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`)
		}
	}))
	t.Cleanup(server.Close)
	c := &Collector{Contents: &Contents{Names: NewNames()}, Config: &rest.Config{Host: server.URL, QPS: -1}, Namespace: "demo"}
	c.Learn(t.Context())
	c.Add("status.txt", "status", []byte("far-away/unreachable: not reachable; demo/first-page; demo/in-no-slice"))
	var packed bytes.Buffer
	list, err := c.Write(&packed, "r", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	text := entriesOf(t, packed.Bytes())["r/status.txt"]
	for _, name := range []string{"far-away", "unreachable", "first-page", "in-no-slice", "demo"} {
		if text == "" || strings.Contains(text, name) {
			t.Errorf("%s is left in %q", name, text)
		}
	}
	for _, want := range []string{"names may be left: those of nodes: you may not read them", "names may be left: those of namespaces: you may not read them"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list does not say %q:\n%s", want, list)
		}
	}
}
