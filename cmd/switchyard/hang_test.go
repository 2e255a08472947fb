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
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// What hangs is waited for once, not for each thing to be read.
func TestAnAPIServerThatHangsIsAskedOnce(t *testing.T) {
	var asked atomic.Int32
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		<-over
	}))
	defer server.Close()
	defer close(over)
	for name, ports := range map[string]string{"learning the range of node ports": "", "told the range": "30000-32767"} {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			var o whoOptions
			o.kubeconfig, o.patience, o.timeout, o.nodePorts = kubeconfigOf(t, server.URL), 50*time.Millisecond, time.Minute, ports
			c := whoCommand()
			c.SetOut(io.Discard)
			c.SetContext(t.Context())
			err := o.who(c, "30080")
			if err == nil || !strings.Contains(err.Error(), "is the API server of "+server.URL+" up?") || asked.Load() != 1 {
				t.Errorf("asked %d times: %v", asked.Load(), err)
			}
		})
	}
}

// halfCluster is an API server of which some paths do not answer, and has nothing.
func halfCluster(t *testing.T, hangs ...string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.ContainsFunc(hangs, func(path string) bool { return strings.HasSuffix(r.URL.Path, path) }) {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/json")
		resource := func(name, kind string) string {
			return fmt.Sprintf(`{"name":%q,"kind":%q,"namespaced":true}`, name, kind)
		}
		group := func(version, resources string) {
			_, _ = fmt.Fprintf(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":%q,"resources":[%s]}`, version, resources)
		}
		switch r.URL.Path {
		case "/api":
			_, _ = fmt.Fprint(w, `{"kind":"APIVersions","versions":["v1"]}`)
		case "/api/v1":
			group("v1", resource("services", "Service")+","+resource("pods", "Pod")+","+resource("nodes", "Node")+","+resource("namespaces", "Namespace"))
		case "/apis":
			_, _ = fmt.Fprint(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`)
		case "/apis/discovery.k8s.io/v1/endpointslices":
			_, _ = fmt.Fprint(w, `{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{},"items":[]}`)
		case "/version":
			_, _ = fmt.Fprint(w, `{"gitVersion":"v1.37.1"}`)
		case "/api/v1/nodes":
			_, _ = fmt.Fprint(w, `{"kind":"NodeList","apiVersion":"v1","metadata":{},"items":[]}`)
		case "/api/v1/pods", "/api/v1/namespaces/switchyard-system/pods", "/api/v1/namespaces/kube-system/pods":
			_, _ = fmt.Fprint(w, `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		}
	}))
	t.Cleanup(server.Close)
	return kubeconfigOf(t, server.URL)
}

// What hangs is waited for together, and named.
func TestWhatDoesNotAnswerInTimeIsNamed(t *testing.T) {
	flags := clusterFlags{kubeconfig: halfCluster(t, "/services", "/namespaces"), timeout: 300 * time.Millisecond}
	c := &cobra.Command{}
	c.SetContext(t.Context())
	c.SetOut(io.Discard)
	var audit namespaceOptions
	audit.clusterFlags, audit.system = flags, "switchyard-system"
	who := whoOptions{audit}
	pools := poolsOptions{inventoryOptions: who.inventoryOptions}
	trace := traceOptions{cluster: flags, timeout: time.Second}
	trace.From, trace.To = "node-1", "10.96.0.1:80"
	env := envOptions{clusterFlags: flags}
	for name, tc := range map[string]struct {
		run  func() error
		want string
	}{
		"who":   {func() error { return who.who(c, "30080") }, "listing Namespaces, Services: "},
		"audit": {func() error { return audit.audit(c) }, "listing Namespaces, Services: "},
		"pools": {func() error { return pools.pools(c) }, "listing Namespaces, Services: "},
		"trace": {func() error { return trace.run(c) }, "listing Services: "},
		"env":   {func() error { return env.run(c, "shop") }, "/api/v1/namespaces/shop/services"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.run()
			for _, want := range []string{"reading the cluster: ", tc.want, "no answer within 300ms", "up? --kubeconfig"} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("it does not say %q: %v", want, err)
				}
			}
		})
	}
}

// What can not be told for want of an answer is told with the rest.
func TestTheRestIsToldOfWhatHangs(t *testing.T) {
	var o statusOptions
	o.kubeconfig, o.timeout, o.limits.Each, o.system = halfCluster(t, "/nodes"), 300*time.Millisecond, time.Second, "switchyard-system"
	var out strings.Builder
	if err := o.status(t.Context(), &out); err == nil || !strings.Contains(out.String(), "not seen: Nodes: ") || !strings.Contains(out.String(), "no answer within 300ms") {
		t.Errorf("%v:\n%s", err, out.String())
	}
}

func TestAKubeconfigWithoutAClusterIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := "the kubeconfig " + path + " names no cluster"
	if _, err := (clusterFlags{kubeconfig: path}).reach(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("by the flag: %v", err)
	}
	t.Setenv("KUBECONFIG", path)
	if _, err := (clusterFlags{}).reach(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("by KUBECONFIG: %v", err)
	}
}

func kubeconfigOf(t *testing.T, url string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf(`{"clusters": [{"name": "c", "cluster": {"server": %q}}],
		"contexts": [{"name": "c", "context": {"cluster": "c"}}], "current-context": "c"}`, url)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
