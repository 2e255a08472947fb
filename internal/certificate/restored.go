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
	"crypto/x509"
	"maps"
	"time"
)

// later are authorities that the webhooks trust and the Secret does not know, where it
// is older than they are: somebody has put a backup of it in place, and managers still
// serve what the later ones signed. The first of a bundle
// is the one that signs. One that is older than the Secret's was put back itself,
// with a configuration, and nobody serves by it.
func (o Options) later(authorities []*x509.Certificate, known Known, now time.Time) []*x509.Certificate {
	var found []*x509.Certificate
	for _, trusted := range known.Trusted {
		all := known.Home.served(parseAuthorities(now, trusted))
		if len(all) == 0 || !isOurAuthority(all[0]) || !all[0].NotBefore.After(authorities[0].NotBefore) {
			continue
		}
		for _, cert := range all {
			if isOurAuthority(cert) && !contains(authorities, cert) && !contains(found, cert) {
				found = append(found, cert)
			}
		}
	}
	return found
}

// keepLater begins the exchange of what managers serve for what the Secret's authority
// signs. The Secret's own certificate is none to begin with: API servers do not know yet
// who signed it, and its age would say that the exchange was long ago.
func (o Options) keepLater(authorities []*x509.Certificate, known Known) Plan {
	return Plan{Why: "the Secret is older than what the webhooks trust", Make: func() (map[string][]byte, error) {
		return withoutCertificate(with(known.Secret, authorityCert, bundle(authorities))), nil
	}}
}

// withoutUntrusted is the Secret without a certificate that some webhook would not
// accept: somebody else put it there, and it would be served as soon as its authority
// is trusted, of which API servers have to hear first.
func withoutUntrusted(known Known, now time.Time) map[string][]byte {
	pair, err := readPair(known.Secret)
	if err != nil || accepted(pair.Leaf, known.Trusted, now) {
		return known.Secret
	}
	return withoutCertificate(known.Secret)
}

func withoutCertificate(data map[string][]byte) map[string][]byte {
	left := maps.Clone(data)
	delete(left, servingCert)
	delete(left, servingKey)
	return left
}

// accepted tells whether each of the webhooks would accept a certificate. Those that
// trust nobody accept none, and do not count.
func accepted(leaf *x509.Certificate, trusted [][]byte, now time.Time) bool {
	for _, authorities := range trusted {
		if len(authorities) > 0 && !signedBy(leaf, authorities, now) {
			return false
		}
	}
	return true
}

func signedBy(leaf *x509.Certificate, authorities []byte, now time.Time) bool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authorities)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now})
	return err == nil
}
