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
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/inventory/who"
)

func TestQuestionsThatCanNotBeAnsweredExitWith2(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	denying := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(metav1.Status{Status: "Failure", Reason: metav1.StatusReasonUnauthorized, Code: 401, Message: "Unauthorized"})
	}))
	t.Cleanup(denying.Close)
	kubeconfig := func(server string) string {
		path := filepath.Join(t.TempDir(), "kubeconfig")
		text := `{clusters: [{name: c, cluster: {server: "` + server + `"}}], contexts: [{name: c, context: {cluster: c}}], current-context: c}`
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	away, refused := kubeconfig(closed.URL), kubeconfig(denying.URL)
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"who of nothing":       {[]string{"who"}, "want one PORT, IP or NAMESPACE/NAME, got 0 arguments: `switchyard who --help` says more"},
		"who of nonsense":      {[]string{"who", "Web!"}, "ask for 30080, 10.96.0.10, fd00::10 or shop/web"},
		"who of a Service":     {[]string{"who", "web", "--kubeconfig", away}, "up? --kubeconfig and --context choose another"},
		"who as XML":           {[]string{"who", "30080", "-o", "xml"}, "unknown output format \"xml\": use json, yaml or wide"},
		"audit of something":   {[]string{"audit", "web"}, "unexpected argument"},
		"an unknown flag":      {[]string{"pools", "--bogus"}, "unknown flag: --bogus: `switchyard pools --help` lists the flags"},
		"a range of nothing":   {[]string{"pools", "--service-node-port-range", "9-2"}, "--service-node-port-range: port range \"9-2\": want FIRST-LAST"},
		"no kubeconfig":        {[]string{"audit", "--kubeconfig", "/does/not/exist"}, "no such file"},
		"an unknown context":   {[]string{"audit", "--kubeconfig", away, "--context", "other"}, "context \"other\" does not exist"},
		"who of nobody":        {[]string{"who", "30080", "--kubeconfig", away}, "up? --kubeconfig and --context choose another"},
		"pools of nobody":      {[]string{"pools", "--kubeconfig", away, "--context", "c"}, "is the API server of http://127.0.0.1:"},
		"status of nobody":     {[]string{"status", "--kubeconfig", away}, "is the API server of http://127.0.0.1:"},
		"env of nobody":        {[]string{"env", "shop", "--kubeconfig", away}, "is the API server of http://127.0.0.1:"},
		"audit without rights": {[]string{"audit", "--kubeconfig", refused}, "log in again"},
	} {
		t.Run(name, func(t *testing.T) {
			root := rootCommand()
			root.SetArgs(tc.args)
			root.SetOut(io.Discard)
			err := root.ExecuteContext(t.Context())
			var exit *exitError
			if !errors.As(err, &exit) || exit.code != exitTrouble || !strings.Contains(exit.err.Error(), tc.want) {
				t.Errorf("got %v, want exit code 2 and %s", err, tc.want)
			}
		})
	}
}

func TestWhoExitsWith1OnlyForConflicts(t *testing.T) {
	service := func(name string, port int32) corev1.Service {
		return corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: port}}},
		}
	}
	inv := &inventory.Inventory{
		NodePorts: inventory.NodePorts{Span: allocator.DefaultNodePorts},
		Services:  []corev1.Service{service("web", 30080), service("cart", 30081), service("twin", 30081)},
	}
	for text, want := range map[string]int{"30080": 0, "30000": 0, "8080": 0, "30081": 1, "shop/web": 0, "shop/twin": 1} {
		for _, output := range []string{"", "wide", "json", "yaml"} {
			question, err := who.Parse(text, "")
			if err != nil {
				t.Fatal(err)
			}
			o := inventoryOptions{output: output}
			var out strings.Builder
			code := 0
			if err := o.answer(&out, inv.Index(), question, time.Now()); err != nil {
				exit, is := errors.AsType[*exitError](err)
				if !is {
					t.Fatal(err)
				}
				code = exit.code
			}
			if code != want {
				t.Errorf("%s -o %q: exit code %d, want %d", text, output, code, want)
			}
			var read map[string]any
			switch output {
			case "json":
				err = json.Unmarshal([]byte(out.String()), &read)
			case "yaml":
				err = yaml.Unmarshal([]byte(out.String()), &read)
			}
			if err != nil || output != "" && output != "wide" && len(read) == 0 || out.Len() == 0 {
				t.Errorf("%s -o %q: %v\n%s", text, output, err, out.String())
			}
		}
	}
}

func TestTheLocaleSaysWhetherBlocksCanBeDrawn(t *testing.T) {
	for _, tc := range []struct {
		environ map[string]string
		want    bool
	}{
		{map[string]string{"LANG": "de_DE.UTF-8"}, true},
		{map[string]string{"LANG": "C.utf8"}, true},
		{map[string]string{"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, false},
		{map[string]string{"LANG": "C", "LC_CTYPE": "en_US.UTF-8"}, true},
		{nil, false},
	} {
		if got := utf8Locale(func(name string) string { return tc.environ[name] }); got != tc.want {
			t.Errorf("%v: %v, want %v", tc.environ, got, tc.want)
		}
	}
}

func TestAuditExitCodes(t *testing.T) {
	unread := func(reason inventory.Reason) []inventory.Unread {
		return []inventory.Unread{{Kind: inventory.PortPools, Reason: reason}}
	}
	found := []audit.Finding{{Kind: audit.RangeFull}}
	for name, tc := range map[string]struct {
		report audit.Report
		code   int
	}{
		"nothing":                      {},
		"findings":                     {report: audit.Report{Findings: found}, code: 1},
		"nothing that could be read":   {report: audit.Report{NotRead: unread(inventory.Forbidden)}, code: 2},
		"findings in what can be read": {report: audit.Report{Findings: found, NotRead: unread(inventory.Forbidden)}, code: 1},
		"nothing without our CRDs":     {report: audit.Report{NotRead: unread(inventory.NotServed)}},
	} {
		if code := exitCode(verdict(tc.report)); code != tc.code {
			t.Errorf("%s: exit code %d, want %d", name, code, tc.code)
		}
	}
}
