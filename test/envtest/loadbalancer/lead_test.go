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

package loadbalancer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/internal/balancer"
)

func rawFrom(version string) *metav1.ListOptions {
	return &metav1.ListOptions{ResourceVersion: version}
}

// verdict is what becomes of a write.
type verdict int

const (
	pass verdict = 0
	// lost sends a write and keeps the answer.
	lost verdict = -1
	// dead is the end of the process: neither this write nor any later one is sent.
	dead verdict = -2
	// Others are the status that is answered instead of sending it.
)

// refusing has the API server fail at one write, each time.
func refusing(refused string) func(*line) {
	return func(l *line) {
		l.judge = func(write string) verdict {
			if write == refused {
				return http.StatusInternalServerError
			}
			return pass
		}
	}
}

// ofA is the write of the status of a Service called a.
const ofA = "PATCH services a/status"

// line is how a manager reaches the API server.
type line struct {
	mu     sync.Mutex
	judge  func(write string) verdict
	cut    bool
	hold   chan struct{} // writes wait for it
	only   string        // the only one that does, if it is set
	held   int           // how many have
	deaf   chan struct{} // what watches tell waits for it
	deafTo string        // of this resource: services, unless it is set
	writes []string
	// asked are the claims that were read, each by its name.
	asked  []string
	denied []string
	// conflicts are writes that met another version.
	conflicts []string
}

// writeOf is VERB RESOURCE NAME, with status where it is one of a Service.
func writeOf(request *http.Request) string {
	parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	i := slices.Index(parts, "namespaces")
	if request.Method == http.MethodGet || i < 0 || i+2 >= len(parts) {
		return ""
	}
	name := "" // of what is created
	if i+3 < len(parts) {
		name = parts[i+3]
	}
	if parts[len(parts)-1] == "status" {
		name += "/status"
	}
	return request.Method + " " + parts[i+2] + " " + name
}

func (l *line) trip(next http.RoundTripper, request *http.Request) (*http.Response, error) {
	what := writeOf(request)
	l.noteAsked(request)
	l.mu.Lock()
	hold := l.hold
	if !isOurs(what) || l.only != "" && l.only != what {
		hold = nil
	}
	if hold != nil {
		l.held++
	}
	l.mu.Unlock()
	if hold != nil {
		<-hold
	}
	l.mu.Lock()
	var fate verdict
	if isOurs(what) {
		if l.judge != nil {
			fate = l.judge(what)
		}
		if l.writes = append(l.writes, what); fate == dead {
			l.cut = true
		}
	}
	cut := l.cut
	l.mu.Unlock()
	switch {
	case cut:
		return nil, errors.New("nothing gets through")
	case fate > 0:
		return answer(request, int(fate)), nil
	}
	response, err := next.RoundTrip(request)
	if err == nil && response.StatusCode == http.StatusForbidden {
		l.mu.Lock()
		l.denied = append(l.denied, request.Method+" "+request.URL.Path)
		l.mu.Unlock()
	}
	if err == nil && response.StatusCode == http.StatusConflict {
		l.set(func(l *line) { l.conflicts = append(l.conflicts, what) })
	}
	if query := request.URL.Query(); err == nil && query.Get("watch") != "" {
		response.Body = &ear{response.Body, l, path.Base(request.URL.Path)}
	}
	if err == nil && fate == lost {
		_ = response.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return response, err
}

// ear is what a watch tells, which may be late.
type ear struct {
	io.ReadCloser
	line     *line
	resource string
}

func (e *ear) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	e.line.mu.Lock()
	deaf, to := e.line.deaf, cmp.Or(e.line.deafTo, "services")
	e.line.mu.Unlock()
	if deaf != nil && e.resource == to {
		<-deaf
	}
	return n, err
}

// isOurs are the writes of claims and statuses.
func isOurs(write string) bool {
	return strings.Contains(write, " leases ") || strings.HasSuffix(write, "/status")
}

func (l *line) set(change func(*line)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// release lets go of what is held.
func (l *line) release() {
	l.set(func(l *line) {
		close(l.hold)
		l.hold = nil
	})
}

// waiting is true once a write was held.
func (l *line) waiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held > 0
}

// written are the writes so far.
func (l *line) written() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.writes)
}

func (l *line) noteAsked(request *http.Request) {
	if request.Method == http.MethodGet && path.Base(path.Dir(request.URL.Path)) == "leases" {
		l.set(func(l *line) { l.asked = append(l.asked, path.Base(request.URL.Path)) })
	}
}

// hasAsked reports whether a claim was read.
func (l *line) hasAsked(name string) func() bool {
	return func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return slices.Contains(l.asked, name)
	}
}

// met are the writes that met another version so far.
func (l *line) met() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.conflicts)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// answer is the API server's, of a status.
func answer(request *http.Request, code int) *http.Response {
	reasons := map[int]metav1.StatusReason{
		http.StatusConflict: metav1.StatusReasonConflict, http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests,
		http.StatusInternalServerError: metav1.StatusReasonInternalError,
	}
	body, _ := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: int32(code), Reason: reasons[code], Message: "injected",
	})
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: request,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	}
}

// lead is a manager that gives addresses. It has the rights of its role.
type lead struct {
	*line
	reconciler *controllers.LoadBalancerReconciler
	cancel     context.CancelFunc
	ended      chan struct{}
}

// poolGrace is shorter than people are.
const poolGrace = 300 * time.Millisecond

// newLead starts a manager. No leader is elected: several lead at once.
func newLead(l *line, options ...func(*controllers.LoadBalancerOptions)) *lead {
	GinkgoHelper()
	if l == nil {
		l = &line{}
	}
	config := managerConfig(l)
	mgr, err := ctrl.NewManager(config, managerOptions())
	Expect(err).NotTo(HaveOccurred())
	m := &lead{line: l, ended: make(chan struct{})}
	leads = append(leads, m)
	m.reconciler = &controllers.LoadBalancerReconciler{Options: controllers.LoadBalancerOptions{
		Namespace: systemNamespace, Class: balancer.Class{Name: class}, PoolGrace: poolGrace,
	}}
	for _, option := range options {
		option(&m.reconciler.Options)
	}
	Expect(m.reconciler.SetupWithManager(mgr)).To(Succeed())
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(context.Background())
	go func() {
		defer GinkgoRecover()
		defer close(m.ended)
		Expect(mgr.Start(ctx)).To(Succeed())
	}()
	return m
}

func managerOptions() ctrl.Options {
	return ctrl.Options{
		Scheme:     admin.Scheme(),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)},
	}
}

// managerConfig is that of a manager in a cluster: with no rights but those of its
// role.
func managerConfig(l *line) *rest.Config {
	config := rest.CopyConfig(server.Config)
	config.QPS = -1
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + systemNamespace + ":switchyard-manager",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + systemNamespace, "system:authenticated"},
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) { return l.trip(next, request) })
	})
	return config
}

// stop ends it; ending twice is fine.
func (m *lead) stop() {
	GinkgoHelper()
	m.end()
	m.mu.Lock()
	defer m.mu.Unlock()
	Expect(m.denied).To(BeEmpty(), "the manager's role lacks a right")
}

func (m *lead) end() {
	GinkgoHelper()
	m.cancel()
	m.set(func(l *line) {
		if l.hold != nil {
			close(l.hold)
			l.hold = nil
		}
		if l.deaf != nil {
			close(l.deaf)
			l.deaf = nil
		}
	})
	Eventually(m.ended).Should(BeClosed())
}

// leads are the managers that may run, besides the shared one: a spec that fails
// leaves some to those after it otherwise.
var leads []*lead

var _ = AfterEach(func() {
	for _, m := range leads {
		if m != shared {
			m.end()
		}
	}
	leads = []*lead{shared}
})

// alone has the spec run with a manager of its own, and the shared one again after.
func alone() {
	GinkgoHelper()
	shared.stop()
	DeferCleanup(func() { shared = newLead(nil) })
}
