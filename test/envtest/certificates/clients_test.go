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

package certificates

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	clients = 4
	// pace is what each client and each witness leaves to the rest of the machine
	// before it asks again: together they ask some hundred times in the seconds that
	// an exchange takes, and without it for whatever the cores can answer.
	pace = 25 * time.Millisecond
)

// traffic is what clients ask of the API server while certificates are exchanged.
type traffic struct {
	made, refused atomic.Int64
	errors        atomic.Int64
	failed        map[string]bool // calls before there were clients
	stop          func()
}

// populate has clients create Services that may be and one that may not, which has
// the ClusterIP of another Service among its external IPs, until they are stopped.
func (s *scene) populate() *traffic {
	s.Helper()
	victim := service("victim")
	s.must(s.api.Create(s.Context(), victim))
	s.within("nobody judges", func() error {
		bad := service("bad")
		bad.Spec.ExternalIPs = []string{victim.Spec.ClusterIP}
		if err := s.api.Create(s.Context(), bad, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "rule X3") {
			return fmt.Errorf("the API server says %w", err)
		}
		return nil
	})
	ctx, cancel := context.WithCancel(s.Context())
	var busy sync.WaitGroup
	t := &traffic{failed: s.failed()}
	for n := range clients {
		busy.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				s.request(t, fmt.Sprintf("client-%d-%d", n, i), victim.Spec.ClusterIP)
				time.Sleep(pace)
			}
		})
	}
	t.stop = func() {
		cancel()
		busy.Wait()
	}
	s.Cleanup(t.stop)
	return t
}

// request makes both and says what went wrong. It is not cut short by the end of the
// traffic.
func (s *scene) request(t *traffic, name, taken string) {
	good := service(name)
	if err := s.api.Create(context.Background(), good); err != nil {
		s.wrong(t, "a Service that may be: %v", err)
		return
	}
	t.made.Add(1)
	if err := s.api.Delete(context.Background(), good); err != nil {
		s.wrong(t, "deleting a Service: %v", err)
	}
	bad := service(name + "-bad")
	bad.Spec.ExternalIPs = []string{taken}
	switch err := s.api.Create(context.Background(), bad); {
	case err == nil:
		s.wrong(t, "a Service that may not be was let pass unjudged")
	case !strings.Contains(err.Error(), "rule X3"):
		s.wrong(t, "a Service that may not be: %v", err)
	default:
		t.refused.Add(1)
	}
}

// wrong says what went wrong, the first times.
func (s *scene) wrong(t *traffic, format string, args ...any) {
	if t.errors.Add(1) > 20 {
		s.Fail()
		return
	}
	s.Errorf(format, args...)
}

func service(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}
}

var failures = regexp.MustCompile(`(?m)^apiserver_admission_webhook_(?:fail_open_count|rejection_count)\{.*\} \d+$`)

// failed are the calls of webhooks that the API server itself has counted as
// failed: those that it let pass, and those that it refused.
func (s *scene) failed() map[string]bool {
	s.Helper()
	text := s.metrics()
	if !strings.Contains(text, "apiserver_admission_webhook_rejection_count") {
		s.Fatal("the API server counts no calls of webhooks")
	}
	counted := map[string]bool{}
	for _, line := range failures.FindAllString(text, -1) {
		if !strings.Contains(line, `error_type="no_error"`) {
			counted[line] = true
		}
	}
	return counted
}

// metrics are the API server's.
func (s *scene) metrics() string {
	s.Helper()
	transport, err := rest.TransportFor(s.admin)
	s.must(err)
	response, err := (&http.Client{Transport: transport}).Get(strings.TrimSuffix(s.admin.Host, "/") + "/metrics")
	s.must(err)
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		s.Fatalf("the API server's metrics: %s", response.Status)
	}
	text, err := io.ReadAll(response.Body)
	s.must(err)
	return string(text)
}

// noCallFailed compares with what had failed before there were clients.
func (s *scene) noCallFailed(before map[string]bool) {
	s.Helper()
	for line := range s.failed() {
		if !before[line] {
			s.Errorf("calls of webhooks have failed: %s", line)
		}
	}
}
