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
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/cmd/manager/app"
	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/test/testenv/managers"
	"switchyard.dev/switchyard/test/testenv/ports"
)

const (
	validatingName = "switchyard-validating-webhook-configuration"
	mutatingName   = "switchyard-mutating-webhook-configuration"
	// patience is for a machine that has other work.
	patience = 3 * time.Minute
)

var (
	scheme = runtime.NewScheme()
	said   = &journal{}
)

func init() {
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		panic(err)
	}
	ctrl.SetLogger(zap.New(zap.WriteTo(said)))
}

// journal is what the managers say.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// scene is an API server with two managers behind one address.
type scene struct {
	*testing.T
	api      client.WithWatch
	admin    *rest.Config
	account  *rest.Config // the managers'
	front    *managers.Front
	webhooks []string // the addresses of the managers'
	// prepare gives the webhook configurations an authority; nil to leave that to the
	// managers.
	prepare func() error
	// alive ends with the first manager that ends, whose error is its cause.
	alive context.Context
	died  context.CancelCauseFunc
}

func newScene(t *testing.T) *scene {
	t.Helper()
	environment, err := testenv.New()
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{T: t}
	s.alive, s.died = context.WithCancelCause(t.Context())
	s.admin, err = environment.Start()
	s.must(err)
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.admin.QPS, s.admin.WarningHandler = -1, rest.NoWarnings{}
	s.api, err = client.NewWithWatch(s.admin, client.Options{Scheme: scheme})
	s.must(err)
	s.must(managers.Install(t.Context(), s.api))
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	s.must(managers.WriteKubeconfig(t.Context(), s.api, s.admin, kubeconfig))
	s.account, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	s.must(err)
	s.front, err = managers.NewFront("127.0.0.1:0")
	s.must(err)
	t.Cleanup(s.front.Close)
	return s
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scene) within(what string, done func() error) {
	s.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := done()
		if err == nil {
			return
		}
		if s.alive.Err() != nil {
			s.Fatalf("%s: %v: %v", what, context.Cause(s.alive), err)
		}
		if time.Now().After(deadline) {
			s.Fatalf("%s after %s: %v", what, patience, err)
		}
	}
}

// start runs two managers with their own account and roles, and has the API server
// ask them about everything: what they do not answer fails.
func (s *scene) start(change func(replica int, options *app.Options)) {
	s.Helper()
	var probes []string
	for replica := range 2 {
		options := app.Options{}
		options.Defaults()
		options.LeaderElect = true
		options.Namespace = managers.Namespace
		options.ProbeBindAddress = s.freeAddress()
		options.Webhooks.Host = "127.0.0.1"
		address := s.freeAddress()
		_, err := fmt.Sscanf(address, "127.0.0.1:%d", &options.Webhooks.Port)
		s.must(err)
		change(replica, &options)
		s.must(options.Validate())
		s.webhooks, probes = append(s.webhooks, address), append(probes, options.ProbeBindAddress)
		s.run(options)
	}
	if s.prepare != nil {
		go func() {
			for s.Context().Err() == nil && s.prepare() != nil {
				time.Sleep(50 * time.Millisecond) // until they are installed
			}
		}()
	}
	if err := managers.InstallWebhooks(s.alive, s.api, s.front.Port()); err != nil {
		s.Fatal(errors.Join(err, context.Cause(s.alive)))
	}
	for replica, address := range probes {
		s.within("a manager is not ready", func() error { return ready(address) })
		s.front.Add(s.webhooks[replica])
	}
	s.failClosed()
}

func (s *scene) run(options app.Options) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := app.Serve(ctx, s.account, options)
		s.died(errors.Join(errors.New("a manager has ended"), err))
		done <- err
	}()
	s.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.Errorf("a manager ended: %v", err)
		}
	})
}

// failClosed has every webhook refuse what nobody judges, and wait for long enough
// that a machine with other work is not taken for a failure.
func (s *scene) failClosed() {
	s.Helper()
	fail, seconds := admissionregistrationv1.Fail, int32(30)
	s.within("the webhook configurations can not be changed", func() error {
		validating, mutating, err := s.configurations()
		if err != nil {
			return err
		}
		for i := range validating.Webhooks {
			validating.Webhooks[i].FailurePolicy, validating.Webhooks[i].TimeoutSeconds = &fail, &seconds
		}
		for i := range mutating.Webhooks {
			mutating.Webhooks[i].FailurePolicy, mutating.Webhooks[i].TimeoutSeconds = &fail, &seconds
		}
		return errors.Join(s.api.Update(s.Context(), validating), s.api.Update(s.Context(), mutating))
	})
}

func (s *scene) configurations() (*admissionregistrationv1.ValidatingWebhookConfiguration, *admissionregistrationv1.MutatingWebhookConfiguration, error) {
	validating, mutating := &admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.MutatingWebhookConfiguration{}
	return validating, mutating, errors.Join(
		s.api.Get(s.Context(), client.ObjectKey{Name: validatingName}, validating),
		s.api.Get(s.Context(), client.ObjectKey{Name: mutatingName}, mutating))
}

// freeAddress is one that nobody listens at.
func (s *scene) freeAddress() string {
	s.Helper()
	address, err := ports.Address()
	s.must(err)
	return address
}

func ready(address string) error {
	response, err := http.Get("http://" + address + "/readyz?verbose")
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("readyz says %s", response.Status)
	}
	return nil
}
