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
	"crypto/x509"
	"fmt"
	"net"
	"strconv"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// admissionReady waits until the API server can have Services judged: every
// webhook knows whom to trust, the Service that leads to them does so through
// the dataplane of the API server's node, and a Service passes.
//
// The webhooks' failure policy lets requests pass while nobody serves them, so
// that a Service passes proves nothing by itself.
func (s *Supervisor) admissionReady(ctx context.Context, st *step) error {
	if err := st.until(ctx, s.webhooksTrusted); err != nil {
		return err
	}
	return st.until(ctx, s.servicePasses)
}

// webhooksTrusted looks at each of our webhooks with the API server's eyes.
func (s *Supervisor) webhooksTrusted(ctx context.Context) string {
	clients, err := s.webhookClients(ctx)
	if err != nil {
		return err.Error()
	}
	for _, c := range clients {
		if c.Service == nil || c.Service.Namespace != suiteNamespace {
			continue
		}
		if len(c.CABundle) == 0 {
			return "the manager to publish the webhooks' certificate authority"
		}
		if reason := s.webhookAnswers(ctx, c); reason != "" {
			return reason
		}
	}
	return ""
}

func (s *Supervisor) webhookClients(ctx context.Context) ([]admissionv1.WebhookClientConfig, error) {
	var clients []admissionv1.WebhookClientConfig
	var mutating admissionv1.MutatingWebhookConfigurationList
	if err := s.client.List(ctx, &mutating); err != nil {
		return nil, fmt.Errorf("listing webhooks: %w", err)
	}
	for _, configuration := range mutating.Items {
		for _, webhook := range configuration.Webhooks {
			clients = append(clients, webhook.ClientConfig)
		}
	}
	var validating admissionv1.ValidatingWebhookConfigurationList
	if err := s.client.List(ctx, &validating); err != nil {
		return nil, fmt.Errorf("listing webhooks: %w", err)
	}
	for _, configuration := range validating.Items {
		for _, webhook := range configuration.Webhooks {
			clients = append(clients, webhook.ClientConfig)
		}
	}
	return clients, nil
}

// webhookAnswers makes the connection that the API server would make, from its
// network namespace to the Service's ClusterIP.
func (s *Supervisor) webhookAnswers(ctx context.Context, c admissionv1.WebhookClientConfig) string {
	var service corev1.Service
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: c.Service.Namespace, Name: c.Service.Name}, &service); err != nil {
		return err.Error()
	}
	port := int32(443)
	if c.Service.Port != nil {
		port = *c.Service.Port
	}
	address := net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(int(port)))
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(c.CABundle)
	config := &tls.Config{RootCAs: trusted, ServerName: fmt.Sprintf("%s.%s.svc", service.Name, service.Namespace)}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := s.network.nodes[s.cluster.ControlPlane().Name].Do(func() error {
		dialer := tls.Dialer{Config: config}
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		return fmt.Sprintf("Service %s/%s at %s: %v", service.Namespace, service.Name, address, err)
	}
	return ""
}

func (s *Supervisor) servicePasses(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*probeTimeout)
	defer cancel()
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, GenerateName: "switchyard-up-"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}
	if err := s.client.Create(ctx, service, client.DryRunAll); err != nil {
		return fmt.Sprintf("creating a Service, as a dry run: %v", err)
	}
	return ""
}
