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
	"os"
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
	}}
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
