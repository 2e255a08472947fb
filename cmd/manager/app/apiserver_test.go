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
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

const (
	versionPath = "/version"
	groupPath   = "/apis/networking.k8s.io/v1"
)

// apiServer answers the two questions that are asked at the start; those at
// the path of failing, which it counts, first a few times with an error.
func apiServer(t *testing.T, failing string, failures int32, resources string) (*rest.Config, *atomic.Int32) {
	t.Helper()
	asked := &atomic.Int32{}
	starting := func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != failing || asked.Add(1) > failures {
			return false
		}
		http.Error(w, "starting", http.StatusServiceUnavailable)
		return true
	}
	mux := http.NewServeMux()
	mux.HandleFunc(versionPath, func(w http.ResponseWriter, r *http.Request) {
		if !starting(w, r) {
			_, _ = fmt.Fprint(w, `{"gitVersion":"v1.37.1"}`)
		}
	})
	mux.HandleFunc(groupPath, func(w http.ResponseWriter, r *http.Request) {
		if starting(w, r) {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"kind":"APIResourceList","groupVersion":"networking.k8s.io/v1","resources":[{"name":%q}]}`, resources)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}, asked
}

func TestAnAPIServerThatIsStillStartingIsWaitedFor(t *testing.T) {
	for _, failing := range []string{versionPath, groupPath} {
		config, asked := apiServer(t, failing, 3, "servicecidrs")
		if err := waitForAPIServer(t.Context(), config, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if asked.Load() != 4 {
			t.Errorf("asked %s %d times, want 4", failing, asked.Load())
		}
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	config, _ := apiServer(t, versionPath, 1000, "servicecidrs")
	if err := waitForAPIServer(ctx, config, time.Millisecond); err == nil || !strings.Contains(err.Error(), config.Host) {
		t.Errorf("got %v, want an error that names %s", err, config.Host)
	}
}

func TestAnAPIServerWithoutServiceCIDRsIsTooOld(t *testing.T) {
	config, _ := apiServer(t, versionPath, 0, "ingresses")
	if err := waitForAPIServer(t.Context(), config, time.Millisecond); err == nil || !strings.Contains(err.Error(), "needs Kubernetes 1.33 or newer") {
		t.Errorf("got %v", err)
	}
}

func TestKubeconfigThatCanNotBeRead(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("clusters: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{broken, filepath.Join(t.TempDir(), "missing")} {
		if _, err := restConfig(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names it", path, err)
		}
	}
}

func TestNoKubeconfigAtAll(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "missing"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := restConfig(""); err == nil || !strings.Contains(err.Error(), "--kubeconfig or $KUBECONFIG") {
		t.Errorf("got %v", err)
	}
}
