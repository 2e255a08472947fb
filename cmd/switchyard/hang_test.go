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
	"strings"
	"sync/atomic"
	"testing"
	"time"
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
			o.kubeconfig, o.patience, o.nodePorts = kubeconfigOf(t, server.URL), 50*time.Millisecond, ports
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
