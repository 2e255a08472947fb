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
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// reviews is an API server that knows any token as a user of that name, and lets
// the user allowed get paths under /debug.
func reviews(t *testing.T, allowed string) *rest.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		var answer any
		if strings.HasSuffix(r.URL.Path, "/tokenreviews") {
			var review authenticationv1.TokenReview
			_ = json.NewDecoder(r.Body).Decode(&review)
			review.Status.Authenticated, review.Status.User.Username = true, review.Spec.Token
			answer = review
		} else {
			var review authorizationv1.SubjectAccessReview
			_ = json.NewDecoder(r.Body).Decode(&review)
			path := review.Spec.NonResourceAttributes
			review.Status.Allowed = review.Spec.User == allowed && path != nil && strings.HasPrefix(path.Path, "/debug/") && path.Verb == "get"
			answer = review
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
}

// serveMetrics serves what a manager of these flags does, and asks it.
func serveMetrics(t *testing.T, config *rest.Config, args ...string) func(token, path string) int {
	t.Helper()
	var options Options
	options.Defaults()
	if err := options.parse(options.flagSet(), append(args, "--metrics-bind-address=127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	server, err := metricsserver.NewServer(metricsOptions(options), config, client)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	address := server.(interface{ GetBindAddr() string }).GetBindAddr
	for address() == "" {
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
	}
	scheme := "http"
	if options.Metrics.Secure {
		scheme = "https"
	}
	asking := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	return func(token, path string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+address()+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := asking.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode
	}
}

const goroutines = "/debug/pprof/goroutine?debug=2"

func TestProfilesAreForWhomTheAPIServerAllows(t *testing.T) {
	ask := serveMetrics(t, reviews(t, "admin"), "--profiling")
	for _, path := range []string{"/debug/pprof/", goroutines, "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/pprof/trace?seconds=0.01"} {
		for token, want := range map[string]int{"": http.StatusUnauthorized, "guest": http.StatusForbidden, "admin": http.StatusOK} {
			if got := ask(token, path); got != want {
				t.Errorf("%q asks for %s: %d, want %d", token, path, got, want)
			}
		}
	}
}

func TestNoProfilesUnlessAskedFor(t *testing.T) {
	if got := serveMetrics(t, reviews(t, "admin"))("admin", goroutines); got != http.StatusNotFound {
		t.Errorf("without --profiling: %d", got)
	}
	ask := serveMetrics(t, reviews(t, ""), "--metrics-secure=false")
	if got := ask("", goroutines); got != http.StatusNotFound {
		t.Errorf("without --profiling and security: %d", got)
	}
}

func TestProfilesAreNotOpenToAll(t *testing.T) {
	for address, sound := range map[string]bool{
		"127.0.0.1:8080": true, "[::1]:8080": true, "localhost:8080": true,
		":8080": false, "0.0.0.0:8080": false, "[::]:8080": false, "192.0.2.1:8080": false, "0": false,
	} {
		for _, secure := range []bool{true, false} {
			var options Options
			options.Defaults()
			err := options.parse(options.flagSet(), []string{"--profiling", "--metrics-bind-address=" + address, fmt.Sprint("--metrics-secure=", secure)})
			if want := sound || secure && address != "0"; (err == nil) != want {
				t.Errorf("at %s, secure %v: %v", address, secure, err)
			}
		}
	}
}
