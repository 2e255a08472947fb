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

package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/validation"
)

// read is what is in a text that comes from standard input.
func read(text string) Input { return Read([]string{Stdin}, strings.NewReader(text)) }

// found has a line for each finding and problem.
func found(in Input) []string {
	var lines []string
	for _, o := range in.Objects {
		findings, _ := o.FindUpdate(nil, validation.Options{})
		for _, f := range findings {
			lines = append(lines, strings.Join([]string{f.String(), f.Kind, f.Name, string(f.Severity), f.Rule, f.Field, f.Message}, "|"))
		}
	}
	for _, p := range in.Problems {
		lines = append(lines, p.Error())
	}
	return lines
}

const service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"

func TestRead(t *testing.T) {
	for name, tc := range map[string]struct {
		text       string
		passedOver int
		want       []string
	}{
		"a Service": {text: service},
		"several documents, some of other kinds": {
			text:       "# comment\n---\n" + service + "---\n---\napiVersion: v1\nkind: ConfigMap\n--- # more\napiVersion: v1\nkind: Service\nmetadata: {name: b}\n",
			passedOver: 1, want: []string{"-:3|Service|b|error||spec.ports|Required value"},
		},
		"JSON, one after another": {text: `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":80}]}}
{"apiVersion":"v1","kind":"Service","metadata":{"name":"b"}}`, want: []string{"-:2|Service|b|error||spec.ports|Required value"}},
		"a List": {text: `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod"},{"apiVersion":"v1","kind":"Service","metadata":{"name":"b"}}]}`,
			passedOver: 1, want: []string{"-:1#2|Service|b|error||spec.ports|Required value"}},
		"a ServiceList as a server prints it": {text: `{"apiVersion":"v1","kind":"ServiceList","items":[{"metadata":{"name":"b"}}]}`,
			want: []string{"-:1#1|Service|b|error||spec.ports|Required value"}},
		"a generated name": {text: strings.Replace(service, "name: web", "generateName: Web-", 1), want: []string{
			`-:1|Service|Web-...|error||metadata.generateName|Invalid value: "Web-": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
			`-:1|Service|Web-...|error||metadata.name|Invalid value: "Web-xxxxx": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`}},
		"a field that is not there": {text: service + "status: {}\nspecs: {}\n", want: []string{"-:1|Service|web|error||specs|unknown field"}},
		"a misspelt field": {text: strings.Replace(service, "port: 80", "port: 80, targetport: http", 1),
			want: []string{"-:1|Service|web|error||spec.ports[0].targetport|unknown field"}},
		"a text for a number": {text: strings.Replace(service, "80", `"80"`, 1), want: []string{
			"-:1|Service|web|error||spec.ports.port|a string stands where an int32 belongs"}},
		"a number that is too large": {text: strings.Replace(service, "port: 80", "port: 99999999999", 1), want: []string{
			"-:1|Service|web|error||spec.ports.port|a number 99999999999 stands where an int32 belongs"}},
		"a number for an object":     {text: "apiVersion: v1\nkind: Service\nmetadata: 3\n", want: []string{"-:1|Service||error||metadata|a number stands where an object belongs"}},
		"a text for a list":          {text: "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: x}\n", want: []string{"-:1|Service|web|error||spec.ports|a string stands where a list belongs"}},
		"a number for a name":        {text: strings.Replace(service, "name: web", "name: 80", 1), want: []string{"-:1|Service||error||metadata.name|a number stands where a string belongs"}},
		"an old version":             {text: "apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\nmetadata: {name: a}\n", want: []string{"-:1|EndpointSlice|a|error|||no server has EndpointSlice in discovery.k8s.io/v1beta1: use discovery.k8s.io/v1"}},
		"a Service of another sort":  {text: "apiVersion: serving.knative.dev/v1\nkind: Service\n", passedOver: 1},
		"a hole":                     {text: strings.Replace(service, "ports:", "type: LoadBalancer, loadBalancerIP: lb, ports:", 1), want: []string{`-:1|Service|web|warning|S1|spec.loadBalancerIP|"lb" is not an IP address; the server stores whatever stands here`}},
		"a hole of an EndpointSlice": {text: "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\naddressType: IPv4\nendpoints: []\nports: [{port: 0}]\n", want: []string{"-:1|EndpointSlice|a|warning|S2|ports[0].port|0 is no port number (1-65535); the server does not look"}},
		"a warning of Endpoints":     {text: "apiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\nsubsets: [{addresses: [{ip: 'FD00::1'}]}]\n", want: []string{`-:1|Endpoints|a|warning||subsets[0].addresses[0].ip|IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")`}},
		"no warning of what is refused": {text: strings.Replace(service, "ports:", "type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.1/8], ports:", 1), want: []string{
			`-:1|Service|web|error||spec.LoadBalancerSourceRanges[0]|Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length`}},
		"a document after dots": {text: service + "...\n" + strings.Replace(service, "80", "0", 1), want: []string{
			"-:2|Service|web|warning|||kubectl leaves out what follows a line of three dots: begin the document with ---",
			"-:2|Service|web|error||spec.ports[0].port|Invalid value: 0: must be between 1 and 65535, inclusive",
			"-:2|Service|web|error||spec.ports[0].targetPort|Invalid value: 0: must be between 1 and 65535, inclusive"}},
		"dots and dashes":             {text: service + "...\n---\n" + service},
		"nothing":                     {text: "\n# nothing\n---\n"},
		"no YAML":                     {text: service + "---\n\n\tx: y\n", want: []string{"-: document 2 (line 6): yaml: line 2: found character that cannot start any token"}},
		"the others count after that": {text: "a: [\n---\n" + strings.Replace(service, "80", "0", 1), want: []string{"-:2|Service|web|error||spec.ports[0].port|Invalid value: 0: must be between 1 and 65535, inclusive", "-:2|Service|web|error||spec.ports[0].targetPort|Invalid value: 0: must be between 1 and 65535, inclusive", "-: document 1 (line 1): yaml: line 1: did not find expected node content"}},
		"a key twice":                 {text: service + "kind: Service\n", want: []string{"-: document 1 (line 1): yaml: unmarshal errors:\n  line 5: key \"kind\" already set in map"}},
		"a text":                      {text: "hello", want: []string{"-: document 1 (line 1): this is no Kubernetes object"}},
		"a List whose items are none": {text: "apiVersion: v1\nkind: List\nitems: 5\n", want: []string{"-: document 1 (line 1): items is missing or no list: this List has no objects"}},
		"a List without items":        {text: "apiVersion: v1\nkind: ServiceList\n", want: []string{"-: document 1 (line 1): items is missing or no list: this List has no objects"}},
		"no kind":                     {text: "apiVersion: v1\n", want: []string{"-: document 1 (line 1): apiVersion or kind is missing: this is no Kubernetes object"}},
		"a program":                   {text: "\x7fELF\x00\x01", want: []string{"-: this is not text in UTF-8"}},
		"another encoding":            {text: "\xff\xfea", want: []string{"-: this is not text in UTF-8"}},
		"Lists within Lists": {text: strings.Repeat(`{"apiVersion":"v1","kind":"List","items":[`, 9) + strings.Repeat("]}", 9), want: []string{
			"-: document 1 (line 1): " + strings.Repeat("item 1: ", 8) + "more than 8 Lists within each other"}},
		"a document that no server takes": {text: service + "---\n# " + strings.Repeat("x", MaxDocument) + "\n" + service, want: []string{
			"-: document 2 (line 6): larger than 3 MiB, which is more than an API server takes"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := read(tc.text)
			if diff := cmp.Diff(tc.want, found(in)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if in.PassedOver != tc.passedOver {
				t.Errorf("%d passed over, want %d", in.PassedOver, tc.passedOver)
			}
		})
	}
}

// Few lines can stand for more than there is memory.
func TestReadRefusesAliasBombs(t *testing.T) {
	laughs := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for level := 'b'; level < 'l'; level++ {
		before := string(level - 1)
		laughs += string(level) + ": &" + string(level) + " [" + strings.Repeat("*"+before+",", 8) + "*" + before + "]\n"
	}
	for name, text := range map[string]string{
		"of lists":      laughs,
		"of one scalar": "a: &a " + strings.Repeat("x", 1<<20) + "\nb: [" + strings.Repeat("*a,", 1<<19) + "*a]\n",
		"of itself":     "a: &a [*a, *a]\n",
	} {
		t.Run(name, func(t *testing.T) {
			in := read(text)
			if len(in.Problems) != 1 || !strings.Contains(in.Problems[0].Message, "once its aliases are replaced") {
				t.Errorf("got %v", in.Problems)
			}
		})
	}
	in := read(strings.Replace(service, "{ports: [{port: 80}]}", "{ports: [&p {port: 80, name: a}, {<<: *p, port: 81, name: b}]}", 1))
	if lines := found(in); len(lines) > 0 || len(in.Objects) != 1 {
		t.Errorf("an alias within bounds: %v", lines)
	}
}

func TestReadRefusesHugeFiles(t *testing.T) {
	huge := filepath.Join(t.TempDir(), "huge.yaml")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// It has holes for its content, and takes no space.
	if err := os.Truncate(huge, 1<<30); err != nil {
		t.Fatal(err)
	}
	endless := filepath.Join("/dev", "zero")
	in := Read([]string{huge, endless, filepath.Join(t.TempDir(), "none.yaml")}, nil)
	var messages []string
	for _, p := range in.Problems {
		messages = append(messages, p.Message)
	}
	if diff := cmp.Diff([]string{"larger than 64 MiB: split it into several files", "larger than 64 MiB: split it into several files", "no such file or directory"}, messages); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"a.yaml", "b.json", "c.txt", "kustomization.yaml", "sub/d.yml"} {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(names ...string) []string {
		var paths []string
		for _, name := range names {
			paths = append(paths, filepath.Join(dir, name))
		}
		return paths
	}
	if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		names     []string
		recursive bool
		want      []string
	}{
		"a directory":              {names: in(""), want: in("a.yaml", "b.json")},
		"and those below it":       {names: in(""), recursive: true, want: in("a.yaml", "b.json", "sub/d.yml")},
		"a link to a directory":    {names: in("link"), want: in("link/a.yaml", "link/b.json")},
		"a file whatever its name": {names: in("c.txt"), want: in("c.txt")},
		"a file twice":             {names: append(in("a.yaml", ""), Stdin), want: append(in("a.yaml", "b.json"), Stdin)},
	} {
		t.Run(name, func(t *testing.T) {
			var names []string
			for _, n := range tc.names {
				if n != Stdin {
					n = filepath.Clean(n)
				}
				names = append(names, n)
			}
			got, err := Files(names, tc.recursive)
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("error %v, files (-want +got):\n%s", err, diff)
			}
		})
	}
	if _, err := Files([]string{filepath.Join(dir, "none")}, false); err == nil {
		t.Error("a file that is not there is no error")
	}
	if _, err := Files([]string{t.TempDir()}, false); err == nil || !strings.Contains(err.Error(), "no .yaml, .yml or .json file") {
		t.Errorf("an empty directory: %v", err)
	}
}

// Whatever is read must neither panic nor take long.
func FuzzRead(f *testing.F) {
	for _, text := range []string{service, `{"apiVersion":"v1","kind":"List","items":[{}]}`, "a: &a [*a]", "---\n---x\n--- {}\n...\n", "{", "\ufeff" + service} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in := read(text)
		found(in)
		earlier := NewEarlier(in.Objects, "default")
		for _, o := range in.Objects {
			before := earlier.Before(o, "default")
			merged, err := o.Onto(before)
			if err != nil {
				t.Errorf("%s: %v", o, err)
			}
			merged.FindUpdate(before, validation.Options{})
			merged.FindStatus(before, validation.Options{})
		}
	})
}
