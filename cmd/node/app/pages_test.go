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
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	proxyconfig "k8s.io/kube-proxy/config/v1alpha1"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/test/testenv/ports"
)

// metricsServer is what --metrics-bind-address serves with args.
func metricsServer(t *testing.T, args ...string) (http.Handler, *pages) {
	t.Helper()
	r, err := resolve(args)
	if err != nil {
		t.Fatal(err)
	}
	shown := &pages{started: time.Now(), log: newLogging(r.options)}
	shown.current.Store(&r)
	state := health.NewState(health.Patience, model.IPv4)
	for _, s := range servers(r.options, state, health.NewMetrics("test", model.IPv4), shown) {
		if s.flag == "metrics-bind-address" {
			return s.handler, shown
		}
	}
	t.Fatal("there is no metrics server")
	return nil, nil
}

func ask(handler http.Handler, method, path, body string) (code int, text string) {
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(method, path, strings.NewReader(body)))
	return answer.Code, answer.Body.String()
}

func TestTheMetricsServerHasKubeProxysPages(t *testing.T) {
	handler, _ := metricsServer(t, "--cluster-cidr=10.244.0.0/16")
	for path, want := range map[string]string{
		"/metrics":   "kubeproxy_sync_proxy_rules_duration_seconds",
		"/healthz":   "ok",
		"/proxyMode": "nftables",
		"/configz":   `"clusterCIDR":"10.244.0.0/16"`,
		"/flagz":     "\ncluster-cidr=10.244.0.0/16\n",
		"/statusz":   "Binary version:",
	} {
		if code, text := ask(handler, http.MethodGet, path, ""); code != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: %d without %q:\n%.300s", path, code, want, text)
		}
	}
	if code, _ := ask(handler, http.MethodGet, "/debug/pprof/heap", ""); code != http.StatusNotFound {
		t.Errorf("profiles are served without --profiling: %d", code)
	}
}

func TestTheConfigurationIsKeyedByItsGroup(t *testing.T) {
	handler, _ := metricsServer(t, "--conntrack-min=7")
	_, text := ask(handler, http.MethodGet, "/configz", "")
	var shown map[string]proxyconfig.KubeProxyConfiguration
	if err := json.Unmarshal([]byte(text), &shown); err != nil {
		t.Fatal(err)
	}
	if c := shown["kubeproxy.config.k8s.io"]; *c.Conntrack.Min != 7 || c.Kind != "KubeProxyConfiguration" {
		t.Errorf("configuration %+v", c)
	}
}

func TestProfilingServesProfilesAndTakesAVerbosity(t *testing.T) {
	handler, shown := metricsServer(t, "--profiling")
	if code, _ := ask(handler, http.MethodGet, "/debug/pprof/heap?debug=1", ""); code != http.StatusOK {
		t.Errorf("a profile: %d", code)
	}
	if shown.log.V(4).Enabled() {
		t.Error("V(4) is logged by default")
	}
	if code, text := ask(handler, http.MethodPut, "/debug/flags/v", "4"); code != http.StatusOK || !shown.log.V(4).Enabled() {
		t.Errorf("%d %s: V(4) is logged: %v", code, text, shown.log.V(4).Enabled())
	}
	if code, _ := ask(handler, http.MethodPut, "/debug/flags/v", "loud"); code != http.StatusBadRequest {
		t.Errorf("a verbosity that is none: %d", code)
	}
}

func TestAnAddressThatIsTakenIsServedOnceItIsFree(t *testing.T) {
	address, err := ports.Address() // as nobody else may have it in between
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	events := record.NewFakeRecorder(10)
	s := server{flag: "healthz-bind-address", address: address, reason: "FailedToStartProxierHealthcheck", again: 10 * time.Millisecond,
		handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") })}
	done := make(chan error, 1)
	go func() { done <- s.serve(ctx, false, nodeWarnings{recorder: events, node: nodeReference("n1")}) }()
	if event := <-events.Events; !strings.HasPrefix(event, "Warning FailedToStartProxierHealthcheck --healthz-bind-address="+address) {
		t.Errorf("event %q", event)
	}
	_ = taken.Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		answer, err := http.Get("http://" + address)
		if err == nil {
			_ = answer.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if n := len(events.Events); n != 0 {
		t.Errorf("%d more events about the same", n)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAnAddressThatHasToBeServedIsSaidBeforeTheEnd(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	s := server{flag: "metrics-bind-address", address: taken.Addr().String(), reason: "FailedToStartMetricServer"}
	client := fake.NewClientset()
	failed := s.serve(t.Context(), true, nodeWarnings{client: client, node: nodeReference("n1")})
	events, err := client.CoreV1().Events("").List(t.Context(), metav1.ListOptions{})
	if err != nil || failed == nil || len(events.Items) != 1 {
		t.Fatalf("%v; it ended with %v after the Events %+v", err, failed, events.Items)
	}
	if e := events.Items[0]; e.Reason != s.reason || e.Message != failed.Error() || e.InvolvedObject.UID != "n1" || e.Type != corev1.EventTypeWarning {
		t.Errorf("event %+v", e)
	}
}

// kube-proxy serves them to everybody without a word, so that is not refused.
func TestProfilesForWhoeverAsksAreWarnedOf(t *testing.T) {
	for args, warned := range map[string]bool{
		"--profiling": false, "--profiling --metrics-bind-address=[::1]:10249": false, "--profiling --metrics-bind-address=": false,
		"--metrics-bind-address=0.0.0.0:10249":               false,
		"--profiling --metrics-bind-address=0.0.0.0:10249":   true,
		"--profiling --metrics-bind-address=:10249":          true,
		"--profiling --metrics-bind-address=192.0.2.1:10249": true,
	} {
		r, err := resolve(strings.Fields(args))
		if err != nil {
			t.Fatal(err)
		}
		var logged bytes.Buffer
		r.warn(logging{Logger: zap.New(zap.WriteTo(&logged))})
		if strings.Contains(logged.String(), "--profiling shows whoever reaches") != warned {
			t.Errorf("%s: %s", args, &logged)
		}
	}
}
