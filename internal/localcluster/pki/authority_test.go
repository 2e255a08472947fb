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

package pki

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAServerIsTrustedUnderItsNamesAndAddressesOnly(t *testing.T) {
	authority := newAuthority(t)
	pair, err := authority.Server("kube-apiserver", []string{"kubernetes.default.svc"}, []netip.Addr{netip.MustParseAddr("fd00:10:96::1")})
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, pair)
	for name, wantTrusted := range map[string]bool{
		"kubernetes.default.svc": true,
		"fd00:10:96::1":          true,
		"fd00:10:96::2":          false,
		"other.default.svc":      false,
	} {
		_, err := cert.Verify(x509.VerifyOptions{Roots: authority.Pool(), DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		if trusted := err == nil; trusted != wantTrusted {
			t.Errorf("trusted as %s: %v (%v), want %v", name, trusted, err, wantTrusted)
		}
	}
}

func TestAClientCarriesItsUserAndGroups(t *testing.T) {
	authority := newAuthority(t)
	pair, err := authority.Client("system:node:node-1", "system:nodes")
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, pair)
	if cert.Subject.CommonName != "system:node:node-1" {
		t.Errorf("user %q", cert.Subject.CommonName)
	}
	if diff := cmp.Diff([]string{"system:nodes"}, cert.Subject.Organization); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	client := x509.VerifyOptions{Roots: authority.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := cert.Verify(client); err != nil {
		t.Errorf("its own authority does not trust it: %v", err)
	}
	client.Roots = newAuthority(t).Pool()
	if _, err := cert.Verify(client); err == nil {
		t.Error("another authority of the same name trusts it")
	}
}

func TestEveryPairFitsTogether(t *testing.T) {
	pair, err := newAuthority(t).Client("admin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pair.TLS(); err != nil {
		t.Error(err)
	}
}

func newAuthority(t *testing.T) *Authority {
	t.Helper()
	authority, err := NewAuthority("switchyard-local")
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func parse(t *testing.T, pair Pair) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(pair.Cert)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
