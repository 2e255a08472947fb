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

package managers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/test/testenv/managers"
)

// ports are the API server's range of NodePorts and the managers'.
var ports = allocator.PortSpan{First: 30000, Last: 30119}

var scheme = runtime.NewScheme()

func init() {
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		panic(err)
	}
	ctrl.SetLogger(logr.Discard())
}

// scene is an API server with two managers.
type scene struct {
	*testing.T
	api        client.Client
	config     *rest.Config
	args       []string // of each manager
	dir        string
	kubeconfig string
	front      *managers.Front
	running    []*managers.Manager
	started    int
}

// newScene has two managers, whose webhooks the API server asks by one address.
func newScene(t *testing.T, mode allocator.Mode) *scene {
	t.Helper()
	s := newServer(t, "--allocation="+string(mode), "--service-node-port-range="+ports.String())
	var err error
	s.front, err = managers.NewFront("127.0.0.1:0")
	s.must(err)
	t.Cleanup(s.front.Close)
	first, second := s.start(), s.start()
	s.front.Add(first.Webhooks())
	s.front.Add(second.Webhooks())
	s.must(managers.InstallWebhooks(t.Context(), s.api, s.front.Port()))
	s.awaitReady(first)
	s.awaitReady(second)
	return s
}

// newServer has none yet.
func newServer(t *testing.T, args ...string) *scene {
	t.Helper()
	environment, err := testenv.New()
	if err != nil {
		t.Fatal(err)
	}
	environment.ControlPlane.GetAPIServer().Configure().Set("service-node-port-range", ports.String())
	config, err := environment.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := &scene{T: t, config: rest.CopyConfig(config), args: args, dir: t.TempDir()}
	s.config.QPS, s.config.WarningHandler = -1, rest.NoWarnings{}
	s.kubeconfig = filepath.Join(s.dir, "kubeconfig")
	s.api, err = client.New(s.config, client.Options{Scheme: scheme})
	s.must(err)
	s.must(managers.Install(t.Context(), s.api))
	s.must(managers.WriteKubeconfig(t.Context(), s.api, s.config, s.kubeconfig))
	t.Cleanup(func() {
		for _, m := range s.running {
			m.Kill()
		}
	})
	return s
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// patience is for a machine that has other work: with a load of 27 on two cores,
// the claims of a leader that had died were there for more than a minute.
const patience = 3 * time.Minute

func (s *scene) within(what string, done func() error) {
	s.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := done()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("%s after %s: %v", what, patience, err)
		}
	}
}

// start runs one more manager, as config/manager does.
func (s *scene) start() *managers.Manager {
	s.Helper()
	s.started++
	m, err := managers.Start(filepath.Join(testenv.Root(), "bin", "switchyard-manager"), s.kubeconfig,
		filepath.Join(s.dir, fmt.Sprintf("manager-%d.log", s.started)),
		append([]string{"--leader-elect"}, s.args...)...)
	s.must(err)
	s.running = append(s.running, m)
	return m
}

func (s *scene) awaitReady(m *managers.Manager) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	s.must(m.AwaitReady(ctx))
}

// kill ends a manager as the kernel would, and has another take its place.
func (s *scene) kill(m *managers.Manager) {
	m.Kill()
	s.front.Remove(m.Webhooks())
}

func (s *scene) replace() *managers.Manager {
	s.Helper()
	m := s.start()
	s.awaitReady(m)
	s.front.Add(m.Webhooks())
	return m
}

// sample is the sum of a metric of a manager, whatever its labels.
func (s *scene) sample(m *managers.Manager, name string) float64 {
	s.Helper()
	response, err := http.Get(m.Metrics)
	s.must(err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	s.must(err)
	sum := 0.0
	for _, match := range regexp.MustCompile(`(?m)^`+name+`(?:\{[^}]*\})? (\S+)$`).FindAllSubmatch(text, -1) {
		value, err := strconv.ParseFloat(string(match[1]), 64)
		s.must(err)
		sum += value
	}
	return sum
}

func (s *scene) leads(m *managers.Manager) bool {
	return s.sample(m, "leader_election_master_status") == 1
}

// judged is how many Services a manager has decided about.
func (s *scene) judged(m *managers.Manager) float64 {
	return s.sample(m, "switchyard_allocator_requests_total")
}

// certificate is what a manager serves to whom the webhook configurations make
// trust it by the name of its Service.
func (s *scene) certificate(m *managers.Manager) *x509.Certificate {
	s.Helper()
	authorities, err := managers.Authorities(s.Context(), s.api)
	s.must(err)
	if len(authorities) != 1 {
		s.Fatalf("the webhook configurations trust %d authorities", len(authorities))
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(authorities[0]))
	conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", m.WebhookPort),
		&tls.Config{RootCAs: roots, ServerName: managers.WebhookService + "." + managers.Namespace + ".svc"})
	s.must(err)
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0]
}
