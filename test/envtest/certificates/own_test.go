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
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/cmd/manager/app"
	"switchyard.dev/switchyard/internal/certificate"
	"switchyard.dev/switchyard/test/testenv/managers"
)

// hasty certificates are renewed within seconds and valid for long enough to outlast
// a machine that has other work. An authority is replaced 16 s after it was made: by
// then what it signed has to be served, or it never is.
var hasty = certificate.Options{
	Authority:   136 * time.Second,
	Serving:     130 * time.Second,
	RenewBefore: 120 * time.Second,
	Settle:      3 * time.Second, // an API server with much else to do hears of it late
	Overlap:     2 * time.Second,
}

func TestOwnCertificatesAreExchangedUnderLoad(t *testing.T) {
	t.Parallel()
	before := len(said.String()) // of those that had their rights taken
	s := newScene(t)
	s.start(func(_ int, options *app.Options) { options.Certificates = hasty })
	w := s.watch()
	load := s.populate()

	const rounds = 2
	s.exchanged(w, "in time", rounds)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: managers.Namespace, Name: "switchyard-webhook-server-cert"}}
	s.must(s.api.Delete(t.Context(), secret))
	s.exchanged(w, "because the Secret was deleted", 1)
	s.within("the Secret can not be emptied", func() error {
		return errors.Join(s.api.Get(t.Context(), client.ObjectKeyFromObject(secret), secret), s.empty(secret))
	})
	s.exchanged(w, "because the Secret was emptied", 1)

	load.stop()
	s.noCallFailed(load.failed)
	authorities, together, leaves := w.counts()
	if together < 2 {
		t.Error("authorities were never trusted side by side")
	}
	if log := said.String()[before:]; strings.Contains(log, "forbidden") {
		t.Errorf("something was forbidden:\n%s", log)
	}
	t.Logf("%d authorities, %d certificates, %d handshakes; %d Services made and %d refused",
		authorities, leaves, w.handshakes, load.made.Load(), load.refused.Load())
}

func (s *scene) empty(secret *corev1.Secret) error {
	secret.Data = nil
	return s.api.Update(s.Context(), secret)
}

// exchanged waits until so many more authorities were trusted, and the managers
// have served what they signed.
func (s *scene) exchanged(w *witness, why string, more int) {
	s.Helper()
	hadAuthorities, _, hadLeaves := w.counts()
	s.within("the certificate was not exchanged "+why, func() error {
		authorities, _, leaves := w.counts()
		if authorities < hadAuthorities+more || leaves < hadLeaves+more {
			return fmt.Errorf("%d authorities in place of %d, %d certificates in place of %d", authorities, hadAuthorities, leaves, hadLeaves)
		}
		return nil
	})
}
