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

package supervisor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/netns"
)

// probeTimeout bounds one look at a component.
const probeTimeout = 2 * time.Second

// apiServerReady waits for the API server and makes the client.
func (s *Supervisor) apiServerReady(ctx context.Context, st *step) error {
	plain, err := rest.HTTPClientFor(s.admin)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	if err := st.until(ctx, healthy(plain, "https://"+s.apiServerAddress()+"/readyz")); err != nil {
		return err
	}
	s.client, err = client.New(s.admin, client.Options{HTTPClient: plain})
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return nil
}

// startControllers starts the rest of the control plane.
func (s *Supervisor) startControllers(ctx, starting context.Context) error {
	both, starting := errgroup.WithContext(starting)
	both.Go(func() error {
		return s.step(starting, controllerManagerName, func(starting context.Context, st *step) error {
			return s.startControllerManager(ctx, starting, st)
		})
	})
	both.Go(func() error {
		return s.step(starting, schedulerName, func(starting context.Context, st *step) error {
			return s.startScheduler(ctx, starting, st)
		})
	})
	return both.Wait()
}

// startControllerManager waits for the account that pods of the default
// namespace run as: without it the first `kubectl run` would be refused.
func (s *Supervisor) startControllerManager(ctx, starting context.Context, st *step) error {
	access, err := s.certificateAccess(controllerManagerName, "system:kube-controller-manager")
	if err != nil {
		return err
	}
	s.launch(ctx, s.process(controllerManagerName, s.config.Binaries.ControllerManager, s.controllerManagerArgs(access)))
	return st.until(starting, func(ctx context.Context) string {
		var account corev1.ServiceAccount
		key := client.ObjectKey{Namespace: "default", Name: "default"}
		if err := s.client.Get(ctx, key, &account); err != nil {
			return "ServiceAccount default/default"
		}
		return ""
	})
}

func (s *Supervisor) startScheduler(ctx, starting context.Context, st *step) error {
	access, err := s.certificateAccess(schedulerName, "system:kube-scheduler")
	if err != nil {
		return err
	}
	scheduler := s.process(schedulerName, s.config.Binaries.Scheduler, schedulerArgs(access))
	s.launch(ctx, scheduler)
	return st.until(starting, healthy(clientIn(scheduler.namespace), "https://127.0.0.1:10259/healthz"))
}

func (s *Supervisor) certificateAccess(name, who string) (string, error) {
	pair, err := s.credentials.ca.Client(who)
	if err != nil {
		return "", err
	}
	return s.access(name, user{pair: pair})
}

// healthy is the condition that url answers 200.
func healthy(c *http.Client, url string) func(context.Context) string {
	return func(ctx context.Context) string {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err.Error()
		}
		response, err := c.Do(request)
		if err != nil {
			return fmt.Sprintf("%s does not answer", url)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Sprintf("%s answers %s", url, response.Status)
		}
		return ""
	}
}

// clientIn is a client for probes in that network namespace. It trusts every
// server: the control plane's parts sign themselves on their loopback device.
func clientIn(namespace *netns.Namespace) *http.Client {
	dial := func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = namespace.Do(func() error {
			var dialer net.Dialer
			conn, err = dialer.DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
	return &http.Client{Transport: &http.Transport{
		DialContext:       dial,
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}}
}
