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
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// serverName is what the API server calls the webhooks by.
const serverName = "switchyard-webhook-service.switchyard-system.svc"

// witness sees whom the configurations trust, change by change, and what the
// managers serve meanwhile.
type witness struct {
	mu sync.Mutex
	// authorities are the bundles that a configuration has had, oldest first.
	authorities map[string][]string
	// leaves are the certificates that were served.
	leaves     map[string]bool
	handshakes int
}

func (s *scene) watch() *witness {
	s.Helper()
	w := &witness{authorities: map[string][]string{}, leaves: map[string]bool{}}
	ctx, cancel := context.WithCancel(s.Context())
	var busy sync.WaitGroup
	for _, list := range []client.ObjectList{
		&admissionregistrationv1.ValidatingWebhookConfigurationList{}, &admissionregistrationv1.MutatingWebhookConfigurationList{},
	} {
		watching, err := s.api.Watch(ctx, list)
		s.must(err)
		busy.Go(func() { s.follow(ctx, w, watching) })
	}
	for _, address := range s.webhooks {
		busy.Go(func() {
			for ctx.Err() == nil {
				if err := s.handshake(ctx, w, address); err != nil && ctx.Err() == nil {
					s.Errorf("%s: %v", address, err)
				}
				time.Sleep(pace)
			}
		})
	}
	s.Cleanup(func() {
		cancel()
		busy.Wait()
	})
	return w
}

// follow sees each change of a configuration: what it trusts next always has an
// authority in common with what it trusted before.
func (s *scene) follow(ctx context.Context, w *witness, watching watch.Interface) {
	defer watching.Stop()
	for event := range watching.ResultChan() {
		if ctx.Err() != nil {
			return
		}
		name, bundles := trust(event.Object)
		for _, bundle := range bundles {
			if bundle != bundles[0] {
				s.Errorf("%s: its webhooks trust different authorities", name)
			}
		}
		w.mu.Lock()
		before := w.authorities[name]
		if len(before) == 0 || before[len(before)-1] != bundles[0] {
			if len(before) > 0 && !overlap(before[len(before)-1], bundles[0]) {
				s.Errorf("%s: from one moment to the next it trusts none of the authorities that it trusted", name)
			}
			w.authorities[name] = append(before, bundles[0])
		}
		w.mu.Unlock()
	}
	if ctx.Err() == nil {
		s.Error("a watch ended")
	}
}

func trust(object any) (name string, bundles []string) {
	switch c := object.(type) {
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		name = c.Name
		for i := range c.Webhooks {
			bundles = append(bundles, string(c.Webhooks[i].ClientConfig.CABundle))
		}
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		name = c.Name
		for i := range c.Webhooks {
			bundles = append(bundles, string(c.Webhooks[i].ClientConfig.CABundle))
		}
	default:
		panic(fmt.Sprintf("a watch says %T", object))
	}
	return name, bundles
}

// handshake is a new connection of an API server that has heard of the last change,
// or of one that has not: what a manager serves has to be trusted by what
// configurations said before and by what they say after.
func (s *scene) handshake(ctx context.Context, w *witness, address string) error {
	before, err := s.bundles()
	if err != nil {
		return err
	}
	connection, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	leaf := connection.(*tls.Conn).ConnectionState().PeerCertificates[0]
	_ = connection.Close()
	after, err := s.bundles()
	if err != nil {
		return err
	}
	var errs []error
	for _, bundle := range append(before, after...) {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(bundle))
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: serverName})
		errs = append(errs, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handshakes++
	w.leaves[string(leaf.Raw)] = true
	return errors.Join(errs...)
}

func (s *scene) bundles() ([]string, error) {
	validating, mutating, err := s.configurations()
	if err != nil {
		return nil, err
	}
	_, all := trust(validating)
	_, more := trust(mutating)
	return append(all[:1:1], more[0]), nil
}

// counts are of different authorities that were trusted, of the most at a time, and
// of certificates that were served.
func (w *witness) counts() (authorities, together, leaves int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[string]bool{}
	for _, history := range w.authorities {
		for _, bundle := range history {
			parsed := certificates(bundle)
			together = max(together, len(parsed))
			for _, cert := range parsed {
				seen[cert] = true
			}
		}
	}
	return len(seen), together, len(w.leaves)
}

// certificates are those in PEM, as they are written to the wire.
func certificates(text string) []string {
	var all []string
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all
		}
		all = append(all, string(block.Bytes))
	}
}

// overlap is true when an authority has its key in both: what it signed is trusted
// by either.
func overlap(a, b string) bool {
	for _, cert := range certificates(a) {
		for _, other := range certificates(b) {
			one, err := x509.ParseCertificate([]byte(cert))
			two, problem := x509.ParseCertificate([]byte(other))
			if errors.Join(err, problem) == nil && bytes.Equal(one.RawSubjectPublicKeyInfo, two.RawSubjectPublicKeyInfo) {
				return true
			}
		}
	}
	return false
}
