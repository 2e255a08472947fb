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
	"crypto/x509"
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

// Take serves what the Secret has, if it has anything.
func (s *Server) Take(secret map[string][]byte) error {
	if len(secret[servingCert]) == 0 {
		return nil
	}
	pair, err := tls.X509KeyPair(secret[servingCert], secret[servingKey])
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = &pair
	return nil
}

// trustedBy tells whether there is a certificate, which one of the authorities has signed.
func (s *Server) trustedBy(authorities []byte) bool {
	pair, err := s.GetCertificate(nil)
	if err != nil {
		return false
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authorities)
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots})
	return err == nil
}
