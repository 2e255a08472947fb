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

package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the API server answers decides, not only that the file can be read.
func TestAnotherConnectionIsTriedOnTheAPIServer(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		want   string
	}{
		"Services are listed":    {http.StatusOK, ""},
		"the user is not known":  {http.StatusUnauthorized, "correct it, or let this user list Services"},
		"the user may not do it": {http.StatusForbidden, "correct it, or let this user list Services"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ""
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.URL.String()
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(c.status)
				_, _ = fmt.Fprint(w, `{"kind":"ServiceList","apiVersion":"v1","items":[]}`)
			}))
			defer server.Close()
			kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
			content := fmt.Sprintf(`{"clusters": [{"name": "c", "cluster": {"server": %q}}],
				"contexts": [{"name": "c", "context": {"cluster": "c"}}], "current-context": "c"}`, server.URL)
			if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			running, next := resolveConfig(t, ""), resolveConfig(t, "clientConnection: {kubeconfig: "+kubeconfig+"}\n")
			err := next.couldStart(t.Context(), running)
			if asked != "/api/v1/services?fieldSelector=metadata.name%3Dkubernetes&resourceVersion=0" || (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("asked %q, got %v, want %q", asked, err, c.want)
			}
			asked = ""
			if err := next.couldStart(t.Context(), next); err != nil || asked != "" {
				t.Errorf("with the connection as it is, it asked %q: %v", asked, err)
			}
		})
	}
}

func resolveConfig(t *testing.T, text string) *Options {
	t.Helper()
	r, err := resolve([]string{"--config=" + writeConfig(t, header+text)})
	if err != nil {
		t.Fatal(err)
	}
	return r.options
}
