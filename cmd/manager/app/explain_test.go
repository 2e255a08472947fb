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
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

func TestAPortInUseNamesTheFlagThatChangesIt(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address := taken.Addr().String()
	_, err = net.Listen("tcp", address)
	err = fmt.Errorf("running the manager: %w", err)

	for flag, options := range map[string]Options{
		"--metrics-bind-address":      {Metrics: MetricsOptions{BindAddress: address}},
		"--health-probe-bind-address": {ProbeBindAddress: address},
		"--webhook-port":              {},
	} {
		got := explain(err, options).Error()
		if !strings.Contains(got, address+" is already in use") || !strings.Contains(got, flag) {
			t.Errorf("got %q, want the address and %s", got, flag)
		}
	}
}

// withoutCRDs are the answers of an API server that serves kinds of Kubernetes alone.
var withoutCRDs = map[string]string{
	"/api": `{"kind": "APIVersions", "versions": ["v1"]}`,
	"/api/v1": `{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "pods", "kind": "Pod", "namespaced": true},
		{"name": "secrets", "kind": "Secret", "namespaced": true}, {"name": "services", "kind": "Service", "namespaced": true}, {"name": "nodes", "kind": "Node"}]}`,
	"/apis": `{"kind": "APIGroupList", "apiVersion": "v1", "groups": [
		{"name": "coordination.k8s.io", "versions": [{"groupVersion": "coordination.k8s.io/v1", "version": "v1"}]},
		{"name": "networking.k8s.io", "versions": [{"groupVersion": "networking.k8s.io/v1", "version": "v1"}]},
		{"name": "admissionregistration.k8s.io", "versions": [{"groupVersion": "admissionregistration.k8s.io/v1", "version": "v1"}]}]}`,
	"/apis/coordination.k8s.io/v1": `{"kind": "APIResourceList", "groupVersion": "coordination.k8s.io/v1", "resources": [
		{"name": "leases", "kind": "Lease", "namespaced": true}]}`,
	"/apis/networking.k8s.io/v1": `{"kind": "APIResourceList", "groupVersion": "networking.k8s.io/v1", "resources": [
		{"name": "ipaddresses", "kind": "IPAddress"}, {"name": "servicecidrs", "kind": "ServiceCIDR"}]}`,
	"/apis/admissionregistration.k8s.io/v1": `{"kind": "APIResourceList", "groupVersion": "admissionregistration.k8s.io/v1", "resources": [
		{"name": "validatingwebhookconfigurations", "kind": "ValidatingWebhookConfiguration"},
		{"name": "mutatingwebhookconfigurations", "kind": "MutatingWebhookConfiguration"}]}`,
}

func TestMissingKindsNameTheManifestsThatHaveThem(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		answer, known := withoutCRDs[request.URL.Path]
		if !known {
			http.NotFound(w, request)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answer))
	}))
	defer server.Close()
	options, err := parseArgs(t, "--metrics-bind-address=0", "--health-probe-bind-address=0", "--webhooks=off", "--allocation=advisory")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = explain(Serve(ctx, &rest.Config{Host: server.URL}, options), options)
	if err == nil || !strings.Contains(err.Error(), "PortReservation") || !strings.Contains(err.Error(), "kubectl apply --server-side -k config/crd") {
		t.Errorf("got %v, want the kind and the remedy", err)
	}
}

func TestOtherErrorsAreLeftAlone(t *testing.T) {
	other := errors.New("leader election lost")
	if got := explain(other, Options{}); got != other {
		t.Errorf("got %v", got)
	}
}
