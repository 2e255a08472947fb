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

package certificate

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

const (
	authorityName = "switchyard-ca"
	organization  = "switchyard"
	// keyBits is the size of the keys that versions before had.
	keyBits = 2048
	// clockSkew is how far certificates are valid into the past, for API servers
	// whose clock is behind.
	clockSkew = time.Hour
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// newAuthority makes a self-signed one, and its key in PEM.
func newAuthority(now time.Time, validity time.Duration, home Home) (authority, []byte, error) {
	subject := pkix.Name{CommonName: authorityName, Organization: []string{organization}}
	home.name(&subject)
	template, err := newTemplate(now, validity, subject)
	if err != nil {
		return authority{}, nil, err
	}
	template.DNSNames = []string{authorityName}
	template.IsCA = true
	template.KeyUsage |= x509.KeyUsageCertSign
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return authority{}, nil, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return authority{}, nil, fmt.Errorf("making an authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return authority{cert: cert, key: key}, keyPEM(key), err
}

// sign makes a certificate of a server of these names, and its key, both in PEM.
func (a authority) sign(names []string, now time.Time, validity time.Duration) (cert, key []byte, err error) {
	template, err := newTemplate(now, validity, pkix.Name{CommonName: names[0]})
	if err != nil {
		return nil, nil, err
	}
	if template.NotAfter.After(a.cert.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	template.DNSNames = names
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("signing a certificate: %w", err)
	}
	return certPEM(der), keyPEM(private), nil
}

func newTemplate(now time.Time, validity time.Duration, subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("drawing a serial number: %w", err)
	}
	return &x509.Certificate{
		Subject:               subject,
		SerialNumber:          serial,
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		BasicConstraintsValid: true,
	}, nil
}

// issued is when a certificate of ours was made.
func issued(cert *x509.Certificate) time.Time { return cert.NotBefore.Add(clockSkew) }

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// keyPEM has the form that versions before read.
func keyPEM(key *rsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no key in PEM")
	}
	return x509.ParsePKCS1PrivateKey(block.Bytes)
}

// parseAuthorities reads those that are valid, each once. What is none is left
// out: it is somebody else's, or cut off.
func parseAuthorities(now time.Time, texts ...[]byte) []*x509.Certificate {
	var all []*x509.Certificate
	for _, rest := range texts {
		for {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			cert, err := x509.ParseCertificate(block.Bytes)
			if err == nil && cert.IsCA && now.Before(cert.NotAfter) && !contains(all, cert) {
				all = append(all, cert)
			}
		}
	}
	return all
}

func contains(all []*x509.Certificate, cert *x509.Certificate) bool {
	for _, other := range all {
		if other.Equal(cert) {
			return true
		}
	}
	return false
}

// bundle is the certificates in PEM, in this order.
func bundle(all []*x509.Certificate) []byte {
	var text []byte
	for _, cert := range all {
		text = append(text, certPEM(cert.Raw)...)
	}
	return text
}
