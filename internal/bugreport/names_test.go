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
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// oddNames may be those of namespaces and nodes, and are words of JSON or of objects.
var oddNames = []string{"true", "null", "1", "5", "47", "10", "v1", "items", "spec", "status", "nodes", "shop", "web"}

// replaced is a document in which the names of the sample are put back, so that what
// is wanted can be written down.
func replaced(t *testing.T, text string) string {
	t.Helper()
	names := NewNames()
	for _, name := range oddNames {
		names.Add(name)
	}
	got := names.Replace(text)
	for name, other := range names.known {
		got = strings.ReplaceAll(got, other, "<"+name+">")
	}
	return got
}

func TestADocumentStaysOneWhateverNamesAre(t *testing.T) {
	for text, want := range map[string]string{
		`{"apiVersion":"v1","ok":true,"n":1,"items":[1.5,10,null]}`: `{"apiVersion":"v1","ok":true,"n":1,"items":[1.5,10,null]}`,
		`{"apiVersions":[{"a":"web"},"v1"],"of":["v1"]}`:            `{"apiVersions":[{"a":"<web>"},"v1"],"of":["<v1>"]}`,
		`{"status":{"name":"status","of":["web","true"]}}`:          `{"status":{"name":"<status>","of":["<web>","<true>"]}}`,
		`{"labels":{"web":"x","app":"5"},"web":{"a":1}}`:            `{"labels":{"<web>":"x","app":"<5>"},"web":{"a":1}}`,
		`{"annotations":{"shop.example.com/web":"true"}}`:           `{"annotations":{"<shop>.example.com/<web>":"<true>"}}`,
		`{"versions":{"web-1":2,"1":3}}`:                            `{"versions":{"<web>-<1>":2,"<1>":3}}`,
		`{"ip":"10.96.0.1","cidr":"10.0.0.0/8"}`:                    `{"ip":"10.96.0.1","cidr":"10.0.0.0/8"}`,
		`{"time":"2026-11-22T06:47:10Z"}`:                           `{"time":"2026-11-22T06:47:10Z"}`,
		`{"text":"shop/web\nshop/web"}`:                             `{"text":"<shop>/<web>\n<shop>/<web>"}`,
		`{"inner":"{\"spec\":{\"name\":\"web\"}}"}`:                 `{"inner":"{\"spec\":{\"name\":\"<web>\"}}"}`,
		" {\n \"name\" : \"web\" }\n":                               " {\n \"name\" : \"<web>\" }\n",
	} {
		// Encoding escapes nothing that it need not, and the marks of this test neither.
		if diff := cmp.Diff(want, replaced(t, text)); diff != "" {
			t.Errorf("document (-want +got):\n%s", diff)
		}
	}
}

func TestNamesInLinesOfLogs(t *testing.T) {
	for text, want := range map[string]string{
		`INFO Reconciled {"Service": {"name":"web","namespace":"true"}, "items": true}` + "\nweb\n": `INFO Reconciled {"Service": {"name":"<web>","namespace":"<true>"}, "items": true}` + "\n<web>\n",
		`{"level":"info","spec":"web"}` + "\n" + `{"level":"info","ok":true}`:                       `{"level":"info","spec":"<web>"}` + "\n" + `{"level":"info","ok":true}`,
		`err="shop/web\nshop\tweb \u003cshop"`:                                                      `err="<shop>/<web>\n<shop>\t<web> \u003c<shop>"`,
		`dialling 10.96.0.1:47 for [web`:                                                            `dialling 10.96.0.1:<47> for [<web>`,
	} {
		if diff := cmp.Diff(want, replaced(t, text)); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	}
}

// Files are called as the page says, and the list names them as they are.
func TestFilesKeepTheirOwnNames(t *testing.T) {
	c := &Contents{Names: NewNames()}
	for _, name := range []string{"nodes", "logs", "status", "web", "node-1"} {
		c.Names.Add(name)
	}
	for _, name := range []string{"objects/nodes.json", "status.json", "logs/web/web/web.log", "nodes/node-1/nft-ip.txt"} {
		c.Add(name, "what web has", nil)
	}
	c.Miss("logs of web", "web is away")
	var packed bytes.Buffer
	list, err := c.Write(&packed, "r", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	web, all := c.Names.known["web"], entriesOf(t, packed.Bytes())
	for _, want := range []string{"objects/nodes.json", "status.json", "logs/" + web + "/" + web + "/" + web + ".log", "nodes/" + c.Names.known["node-1"] + "/nft-ip.txt"} {
		if _, has := all["r/"+want]; !has || !strings.Contains(list, want+" ") {
			t.Errorf("there is no %s:\n%s", want, list)
		}
	}
	if strings.Contains(list, "web") {
		t.Errorf("a name is left in the list:\n%s", list)
	}
}

// Whatever names there are, a document has the same fields and numbers, and none of
// the names where somebody could have written it.
func FuzzNamesInADocument(f *testing.F) {
	f.Add("true", "a true\nthing", `{"true":true}`)
	f.Add("5", "x-5.y", `[5,"5"]`)
	f.Add("v1", "{\"v1\":\"v1\"}", `null`)
	f.Fuzz(func(t *testing.T, name, text, inner string) {
		if !token.MatchString(name) || token.FindString(name) != name || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
			len(name) > 63 || kept[name] || strings.HasPrefix(name, "switchyard-") || !json.Valid([]byte(inner)) {
			return
		}
		names := NewNames()
		names.Add(name)
		document := `{"apiVersion":"v1","kind":"List","items":[` + inner + `],"text":` + string(quotedJSON(text)) + `,"of":"` + name + `","labels":{"` + name + `":1}}`
		if !json.Valid([]byte(document)) { // too deep
			return
		}
		var got struct {
			APIVersion, Kind, Text, Of string
			Items                      []json.RawMessage
			Labels                     map[string]int
		}
		out := names.Replace(document)
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%s became %s: %v", document, out, err)
		}
		if got.APIVersion != "v1" || got.Kind != "List" || len(got.Items) != 1 || got.Of != names.known[name] || got.Labels[names.known[name]] != 1 {
			t.Errorf("with %q %s became %s", name, document, out)
		}
		if text == name && got.Text != names.known[name] {
			t.Errorf("%q is left in %s", name, out)
		}
	})
}
