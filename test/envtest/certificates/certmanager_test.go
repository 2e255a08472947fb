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
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/test/testenv"
)

// certManager does what cert-manager does with the objects of config/certmanager,
// as far as it matters here: it keeps a key if it is told to never rotate it, and
// says in ca.crt who signed.
type certManager struct {
	issuers      map[string]issuer
	certificates map[string]requested
	order        []string // issuers' certificates first
	secrets      map[string]*issued
}

type issuer struct {
	Spec struct {
		SelfSigned *struct{} `json:"selfSigned"`
		CA         *struct {
			SecretName string `json:"secretName"`
		} `json:"ca"`
	} `json:"spec"`
}

type requested struct {
	Spec struct {
		IsCA       bool     `json:"isCA"`
		CommonName string   `json:"commonName"`
		DNSNames   []string `json:"dnsNames"`
		SecretName string   `json:"secretName"`
		PrivateKey struct {
			RotationPolicy string `json:"rotationPolicy"`
		} `json:"privateKey"`
		IssuerRef struct {
			Name string `json:"name"`
		} `json:"issuerRef"`
	} `json:"spec"`
}

// issued is a Secret.
type issued struct {
	key       *ecdsa.PrivateKey
	cert      *x509.Certificate
	authority *x509.Certificate // ca.crt
}

func (s *scene) newCertManager() *certManager {
	s.Helper()
	m := &certManager{issuers: map[string]issuer{}, certificates: map[string]requested{}, secrets: map[string]*issued{}}
	for _, file := range []string{"authority.yaml", "certificate-webhook.yaml"} {
		text, err := os.ReadFile(filepath.Join(testenv.Root(), "config", "certmanager", file))
		s.must(err)
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			var is struct {
				Kind     string
				Metadata struct{ Name string }
			}
			s.must(yaml.Unmarshal([]byte(document), &is))
			switch is.Kind {
			case "Issuer":
				var i issuer
				s.must(yaml.UnmarshalStrict([]byte(specOf(document)), &i))
				m.issuers[is.Metadata.Name] = i
			case "Certificate":
				var c requested
				s.must(yaml.Unmarshal([]byte(document), &c))
				m.certificates[is.Metadata.Name] = c
				m.order = append(m.order, is.Metadata.Name)
			}
		}
	}
	for _, name := range m.order {
		s.must(m.renew(name))
	}
	return m
}

// specOf is the part of a document after its metadata.
func specOf(document string) string { return document[strings.Index(document, "\nspec:")+1:] }

// named is the Certificate that is one of an authority, or the other.
func (m *certManager) named(authority bool) string {
	for name, certificate := range m.certificates {
		if certificate.Spec.IsCA == authority {
			return name
		}
	}
	return ""
}

// webhook is what the configurations name in cert-manager.io/inject-ca-from.
func (m *certManager) webhook() *issued {
	return m.secrets[m.certificates[m.named(false)].Spec.SecretName]
}

// renew issues a certificate once more.
func (m *certManager) renew(name string) error {
	spec := m.certificates[name].Spec
	before := m.secrets[spec.SecretName]
	next := &issued{}
	var err error
	if before != nil && spec.PrivateKey.RotationPolicy == "Never" {
		next.key = before.key
	} else if next.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: spec.CommonName}, DNSNames: spec.DNSNames,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: spec.IsCA, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if spec.IsCA {
		template.KeyUsage |= x509.KeyUsageCertSign
		template.ExtKeyUsage = nil
	}
	parent, signer := template, next.key
	by, known := m.issuers[spec.IssuerRef.Name]
	if !known {
		return fmt.Errorf("Certificate %s: there is no Issuer %s", name, spec.IssuerRef.Name)
	}
	if by.Spec.CA != nil {
		authority := m.secrets[by.Spec.CA.SecretName]
		parent, signer = authority.cert, authority.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, next.key.Public(), signer)
	if err != nil {
		return err
	}
	if next.cert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	next.authority = next.cert
	if by.Spec.CA != nil {
		next.authority = parent
	}
	m.secrets[spec.SecretName] = next
	return nil
}

func (i *issued) files() (map[string][]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw}),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"ca.crt":  i.bundle(),
	}, nil
}

func (i *issued) bundle() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.authority.Raw})
}
