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
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// clientCertificates make a server talk only to who shows a certificate of an
// authority in the file. That is read for each connection, so that authorities can
// be exchanged while the manager runs. A file that can not be read lets nobody in.
func clientCertificates(file string) []func(*tls.Config) {
	if file == "" {
		return nil
	}
	return []func(*tls.Config){func(config *tls.Config) {
		config.ClientAuth = tls.RequireAnyClientCert
		config.VerifyConnection = func(state tls.ConnectionState) error { return verifyClient(file, state.PeerCertificates) }
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if slices.Equal(hello.SupportedProtos, []string{probeProtocol}) {
				return forProbes(config), nil
			}
			return nil, nil
		}
	}}
}

// probeProtocol is what our own probe speaks to a server that asks for certificates:
// nothing. It has none, and each attempt without would be an error in the log. A
// server of net/http closes a connection whose protocol (ALPN, RFC 7301) it does not
// know once that is negotiated, so that nobody is served who offers this one.
const probeProtocol = "switchyard-probe"

func forProbes(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.NextProtos = []string{probeProtocol}
	config.ClientAuth, config.VerifyConnection, config.GetConfigForClient = tls.NoClientCert, nil, nil
	config.SessionTicketsDisabled = true // nor does it lead to a session of others
	return config
}

// probedServer is a webhook server that asks for certificates of clients.
type probedServer struct {
	webhook.Server
	address string
}

// probed lets our own probe in where a server asks for certificates.
func probed(server webhook.Server, options WebhookOptions) webhook.Server {
	if options.ClientCA == "" {
		return server
	}
	return probedServer{server, net.JoinHostPort(options.Host, strconv.Itoa(options.Port))}
}

// StartedChecker implements webhook.Server.
func (s probedServer) StartedChecker() healthz.Checker {
	return func(request *http.Request) error {
		dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{probeProtocol}}}
		conn, err := dialer.DialContext(request.Context(), "tcp", s.address)
		if err != nil {
			return fmt.Errorf("asking the webhook server: %w", err)
		}
		return conn.Close()
	}
}

// verifyClient judges what the client shows: its own certificate, and those in
// between.
func verifyClient(file string, shown []*x509.Certificate) error {
	authorities, err := readAuthorities(file)
	if err != nil {
		return err
	}
	if len(shown) == 0 {
		return errors.New("the client has no certificate")
	}
	between := x509.NewCertPool()
	for _, certificate := range shown[1:] {
		between.AddCert(certificate)
	}
	_, err = shown[0].Verify(x509.VerifyOptions{
		Roots: authorities, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("verifying the certificate of a client: %w", err)
	}
	return nil
}

func readAuthorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the authorities of clients: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading the authorities of clients: %s has no certificate in PEM", file)
	}
	return authorities, nil
}
