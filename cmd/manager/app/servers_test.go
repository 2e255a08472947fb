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
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

func TestServersSpeakNoHTTP2(t *testing.T) {
	for _, args := range [][]string{nil, {"--enable-http2"}} {
		options, err := parseArgs(t, append(args, "--metrics-bind-address=:8443")...)
		if err != nil {
			t.Fatal(err)
		}
		for name, opts := range map[string][]func(*tls.Config){
			"webhooks": webhookServer(options, newCertificates(options)).(*webhook.DefaultServer).Options.TLSOpts,
			"metrics":  metricsOptions(options).TLSOpts,
		} {
			config := &tls.Config{NextProtos: []string{"h2"}} // as controller-runtime begins
			for _, option := range opts {
				option(config)
			}
			if speaks := slices.Contains(config.NextProtos, "h2"); speaks != options.EnableHTTP2 {
				t.Errorf("%s with %q: HTTP/2 is spoken: %v", name, args, speaks)
			}
		}
	}
}

// An API server that knows nobody stands for the one that is asked who may.
func TestTheMetricsAskWhoMay(t *testing.T) {
	reviews := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/apis/authentication.k8s.io/v1/tokenreviews" {
			reviews++
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":false}}`))
	}))
	defer server.Close()
	options, err := parseArgs(t, "--metrics-bind-address=:8443")
	if err != nil {
		t.Fatal(err)
	}
	metrics := metricsOptions(options)
	if !metrics.SecureServing || metrics.FilterProvider == nil {
		t.Fatal("metrics are served to everybody")
	}
	filter, err := metrics.FilterProvider(&rest.Config{Host: server.URL}, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	handler, err := filter(logr.Discard(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("somebody unknown reads metrics") }))
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"", "Bearer made-up"} {
		request := httptest.NewRequest(http.MethodGet, "https://manager/metrics", nil)
		request.Header.Set("Authorization", token)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		if answer.Code < http.StatusBadRequest {
			t.Errorf("with the token %q the answer is %d", token, answer.Code)
		}
	}
	if reviews != 1 {
		t.Errorf("the API server was asked %d times who has the token", reviews)
	}
}
