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

package supervisor

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"

	"switchyard.dev/switchyard/internal/localcluster/pki"
)

func TestKubectlReadsTheKubeconfig(t *testing.T) {
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]user{
		"a certificate":  {pair: pki.Pair{Cert: []byte("cert"), Key: []byte("key")}},
		"a token":        {token: "secret"},
		"a token's file": {tokenFile: tokenFile},
	}
	for name, u := range tests {
		t.Run(name, func(t *testing.T) {
			data, err := kubeconfig("https://127.0.0.1:6443", []byte("ca"), u)
			if err != nil {
				t.Fatal(err)
			}
			got, err := clientcmd.RESTConfigFromKubeConfig(data)
			if err != nil {
				t.Fatal(err)
			}
			if got.Host != "https://127.0.0.1:6443" || string(got.CAData) != "ca" {
				t.Errorf("server %s, authority %q", got.Host, got.CAData)
			}
			gotUser := user{pair: pki.Pair{Cert: got.CertData, Key: got.KeyData}, token: got.BearerToken, tokenFile: got.BearerTokenFile}
			if gotUser.tokenFile != "" {
				gotUser.token = "" // what was in it
			}
			if diff := cmp.Diff(u, gotUser, cmp.AllowUnexported(user{})); diff != "" {
				t.Errorf("user (-want +got):\n%s", diff)
			}
		})
	}
}
