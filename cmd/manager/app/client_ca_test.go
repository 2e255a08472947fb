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
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// authority signs certificates of clients.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	t           *testing.T
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{t: t}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.certificate, a.key = a.sign(template, nil)
	return a
}

func (a *authority) sign(template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, template.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return certificate, key
}

func (a *authority) client() []tls.Certificate {
	certificate, key := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "kube-apiserver"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a)
	return []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}
}

func (a *authority) write(file string) {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func TestOnlyWhoHasACertificateOfTheAuthorityMayCall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	good, other := newAuthority(t, "good"), newAuthority(t, "other")
	good.write(file)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	for _, option := range clientCertificates(file) {
		option(server.TLS)
	}
	server.StartTLS()
	defer server.Close()
	call := func(certificates []tls.Certificate) error {
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certificates, MinVersion: tls.VersionTLS13}}
		defer transport.CloseIdleConnections()
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := (&http.Client{Transport: transport}).Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		return err
	}
	if err := call(good.client()); err != nil {
		t.Errorf("who has a certificate: %v", err)
	}
	if err := call(nil); err == nil {
		t.Error("anybody may call")
	}
	if err := call(other.client()); err == nil {
		t.Error("who has a certificate of another authority may call")
	}
	other.write(file)
	if err := call(other.client()); err != nil {
		t.Errorf("after the authority was exchanged: %v", err)
	}
	if err := call(good.client()); err == nil {
		t.Error("the authority of before is still believed")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := call(other.client()); err == nil {
		t.Error("without a file, somebody may call")
	}
}

// A probe that was refused would be an error in the log, several times a minute.
func TestOurOwnProbeIsNoErrorAndNobodyIsServedInItsPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	newAuthority(t, "good").write(file)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("somebody without a certificate is served")
	}))
	var logged bytes.Buffer
	server.Config.ErrorLog = log.New(&logged, "", 0)
	closed := make(chan struct{}, 100)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	certs := httptest.NewUnstartedServer(nil)
	certs.StartTLS()
	certs.Close()
	server.TLS = &tls.Config{NextProtos: []string{"http/1.1"}, Certificates: certs.TLS.Certificates}
	for _, option := range clientCertificates(file) {
		option(server.TLS)
	}
	server.StartTLS()
	address := server.Listener.Addr().String()
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	started := probed(nil, WebhookOptions{ClientCA: file, Host: host, Port: port}).StartedChecker()
	request := httptest.NewRequest(http.MethodGet, "/readyz", http.NoBody)
	for range 10 {
		if err := started(request); err != nil {
			t.Errorf("the probe: %v", err)
		}
	}
	ask := func(protocols ...string) {
		t.Helper()
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: webhook\r\n\r\n")
		if answer, _ := io.ReadAll(conn); len(answer) > 0 {
			t.Errorf("who offers %q is answered %q", protocols, answer)
		}
	}
	ask(probeProtocol)
	ask(probeProtocol, "http/1.1")
	ask("http/1.1", probeProtocol)
	ask("http/1.1")
	for range 10 + 4 {
		<-closed // what is to be logged of it, is
	}
	server.Close()
	if n := strings.Count(logged.String(), "TLS handshake error"); n != 3 || strings.Count(logged.String(), "\n") != n {
		t.Errorf("want the three who may not speak HTTP, the server logs:\n%s", &logged)
	}
	if err := started(request); err == nil {
		t.Error("after the end the probe finds a server")
	}
}

func TestTheFileOfAuthoritiesIsReadBeforeTheManagerStarts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{file, "/does/not/exist"} {
		if _, err := parseArgs(t, "--webhook-client-ca="+given); err == nil || !strings.Contains(err.Error(), "--webhook-client-ca") {
			t.Errorf("%s: %v", given, err)
		}
	}
	newAuthority(t, "good").write(file)
	options, err := parseArgs(t, "--webhook-client-ca="+file)
	if err != nil {
		t.Fatal(err)
	}
	var config tls.Config
	for _, option := range webhookServer(options, &certificates{}).(*webhook.DefaultServer).Options.TLSOpts {
		option(&config)
	}
	if config.ClientAuth != tls.RequireAnyClientCert || config.VerifyConnection == nil {
		t.Errorf("the webhooks ask for no certificate: %+v", options.Webhooks)
	}
}
