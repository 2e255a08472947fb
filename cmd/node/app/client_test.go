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
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What is compressed is compressed for every node, at every change.
func TestCompressedAnswersAreForThoseWhoAsk(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"by default": {nil, ""},
		"asked for":  {[]string{"--compress-responses"}, "gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			var accepted string
			server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				accepted = r.Header.Get("Accept-Encoding")
			}))
			defer server.Close()
			kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
			content := fmt.Sprintf(`{"clusters": [{"name": "c", "cluster": {"server": %q, "insecure-skip-tls-verify": true}}],
				"contexts": [{"name": "c", "context": {"cluster": "c"}}], "current-context": "c"}`, server.URL)
			if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := resolve(append(c.args, "--kubeconfig="+kubeconfig))
			if err != nil {
				t.Fatal(err)
			}
			client, err := newClient(r.options)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = client.CoreV1().Services("").List(t.Context(), metav1.ListOptions{})
			if accepted != c.want {
				t.Errorf("Accept-Encoding is %q, want %q", accepted, c.want)
			}
		})
	}
}
