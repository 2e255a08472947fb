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
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/test/testenv/ports"
	"switchyard.dev/switchyard/test/testenv/process"
)

// WriteKubeconfig makes a kubeconfig with a token of the manager's ServiceAccount.
func WriteKubeconfig(ctx context.Context, api client.Client, server *rest.Config, path string) error {
	lifetime := int64(time.Hour / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &lifetime}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: Account}}
	if err := api.SubResource("token").Create(ctx, account, request); err != nil {
		return fmt.Errorf("requesting a token for ServiceAccount %s/%s: %w", Namespace, Account, err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["here"] = &clientcmdapi.Cluster{Server: server.Host, CertificateAuthorityData: server.CAData}
	config.AuthInfos[Account] = &clientcmdapi.AuthInfo{Token: request.Status.Token}
	config.Contexts["here"] = &clientcmdapi.Context{Cluster: "here", AuthInfo: Account}
	config.CurrentContext = "here"
	return clientcmd.WriteToFile(*config, path)
}

// Manager is a running switchyard-manager.
type Manager struct {
	// WebhookPort is where it serves the webhooks.
	WebhookPort int
	// Metrics is the URL of its metrics.
	Metrics string

	*process.Process
	probes string
}

// Start runs program and returns at once. What it says goes to the file log.
func Start(program, kubeconfig, log string, args ...string) (*Manager, error) {
	port, err := ports.Free()
	if err != nil {
		return nil, err
	}
	metrics, err := ports.Address()
	if err != nil {
		return nil, err
	}
	probes, err := ports.Address()
	if err != nil {
		return nil, err
	}
	m := &Manager{WebhookPort: port, Metrics: "http://" + metrics + "/metrics", probes: probes}
	cmd := exec.Command(program, append([]string{
		"--kubeconfig=" + kubeconfig, "--namespace=" + Namespace,
		fmt.Sprintf("--webhook-port=%d", m.WebhookPort),
		"--metrics-bind-address=" + metrics, "--metrics-secure=false",
		"--health-probe-bind-address=" + m.probes,
	}, args...)...)
	if m.Process, err = process.Start(cmd, nil, log); err != nil {
		return nil, err
	}
	return m, nil
}

// Webhooks is the address of its webhooks.
func (m *Manager) Webhooks() string { return fmt.Sprintf("127.0.0.1:%d", m.WebhookPort) }

// AwaitReady returns when it serves, or has ended.
func (m *Manager) AwaitReady(ctx context.Context) error {
	for {
		err := m.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-m.Ended():
			return m.Alive()
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (m *Manager) ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.probes+"/readyz?verbose", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		return fmt.Errorf("readyz says %s: %s", response.Status, text)
	}
	return nil
}

// Stop asks it to end, and waits until it has.
func (m *Manager) Stop() { m.Process.Stop(20 * time.Second) }
