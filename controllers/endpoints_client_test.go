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

package controllers

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// warnings counts them.
type warnings struct{ heard atomic.Int32 }

func (w *warnings) HandleWarningHeaderWithContext(context.Context, int, string, string) {
	w.heard.Add(1)
}

// TestWritersOfEndpointsAreNotWarned, and others still are.
func TestWritersOfEndpointsAreNotWarned(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Warning", `299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"`)
		w.Header().Set("Content-Type", "application/json")
		endpoints := handMade(80, "10.0.0.1")
		endpoints.APIVersion, endpoints.Kind = "v1", "Endpoints"
		_ = json.NewEncoder(w).Encode(endpoints)
	}))
	defer server.Close()
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Endpoints"), meta.RESTScopeNamespace)
	options := client.Options{Scheme: clientgoscheme.Scheme, Mapper: mapper}
	heard := &warnings{}
	config := &rest.Config{Host: server.URL, WarningHandlerWithContext: heard}
	for want, make := range map[int32]func(*rest.Config, client.Options) (client.Client, error){0: endpointsClient, 1: client.New} {
		heard.heard.Store(0)
		writer, err := make(config, options)
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Update(t.Context(), handMade(80, "10.0.0.1")); err != nil {
			t.Fatal(err)
		}
		if got := heard.heard.Load(); got != want {
			t.Errorf("%d warnings, want %d", got, want)
		}
	}
}
