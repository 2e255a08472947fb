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
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Server is what one manager serves. It keeps the last certificate that could be
// used, whatever becomes of the Secret, and keeps it in memory alone.
type Server struct {
	mu      sync.RWMutex
	current *tls.Certificate
}

// GetCertificate is for tls.Config.
func (s *Server) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.current == nil {
		return nil, errors.New("there is no certificate yet")
	}
	return s.current, nil
}

// End is when what is served ends.
func (s *Server) End() (time.Time, error) {
	pair, err := s.GetCertificate(nil)
	if err != nil {
		return time.Time{}, err
	}
	return pair.Leaf.NotAfter, nil
}

// Take serves what the Secret has, if it has anything that each of the bundles
// of authorities trusts. Somebody else may have put another certificate there:
// it is not served before the webhooks trust it.
func (s *Server) Take(secret map[string][]byte, now time.Time, trusted ...[]byte) error {
	if len(secret[servingCert]) == 0 {
		return nil
	}
	pair, err := readPair(secret)
	if err != nil {
		return err
	}
	if !accepted(pair.Leaf, trusted, now) {
		return errors.New("the webhooks do not trust the certificate of the Secret")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = &pair
	return nil
}

// trustedBy tells whether there is a certificate, which one of the authorities has signed.
func (s *Server) trustedBy(authorities []byte, now time.Time) bool {
	pair, err := s.GetCertificate(nil)
	return err == nil && signedBy(pair.Leaf, authorities, now)
}

func readPair(secret map[string][]byte) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(secret[servingCert], secret[servingKey])
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading the certificate: %w", err)
	}
	return pair, nil
}
