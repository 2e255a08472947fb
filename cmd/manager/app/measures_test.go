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
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	certutil "k8s.io/client-go/util/cert"
)

// certificateIn makes a certificate in a new directory, and says when it ends.
func certificateIn(t *testing.T) (files CertFiles, secret map[string][]byte, end time.Time) {
	t.Helper()
	cert, key, err := certutil.GenerateSelfSignedCertKey("localhost", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	files = CertFiles{Dir: t.TempDir(), Cert: "tls.crt", Key: "tls.key"}
	err = errors.Join(os.WriteFile(filepath.Join(files.Dir, files.Cert), cert, 0o600), os.WriteFile(filepath.Join(files.Dir, files.Key), key, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := certutil.ParseCertsPEM(cert)
	if err != nil {
		t.Fatal(err)
	}
	return files, map[string][]byte{corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key}, parsed[0].NotAfter
}

func TestTheEndOfCertificatesIsMeasured(t *testing.T) {
	t.Cleanup(func() { certificateEnds.sources.Store(nil) })
	files, secret, end := certificateIn(t)
	webhook := fmt.Sprintf("{certificate=\"webhook\"} %d", end.Unix())
	metrics := fmt.Sprintf("{certificate=\"metrics\"} %d", end.Unix())
	for name, tc := range map[string]struct {
		change func(*Options)
		served []map[string][]byte // what the Secret has had
		want   []string
	}{
		"our own":                         {func(*Options) {}, []map[string][]byte{secret}, []string{webhook}},
		"our own, not made yet":           {func(*Options) {}, nil, nil},
		"our own, and the Secret is gone": {func(*Options) {}, []map[string][]byte{secret, nil}, []string{webhook}},
		"somebody else's":                 {func(o *Options) { o.Webhooks.CertFiles = files }, nil, []string{webhook}},
		"no webhooks":                     {func(o *Options) { o.Webhooks.Enabled = false }, nil, nil},
		"metrics, too": {func(o *Options) {
			o.Metrics.BindAddress, o.Metrics.CertFiles = ":8443", files
		}, []map[string][]byte{secret}, []string{metrics, webhook}},
		"metrics without TLS": {func(o *Options) {
			o.Metrics = MetricsOptions{BindAddress: "127.0.0.1:8080", CertFiles: files}
		}, []map[string][]byte{secret}, []string{webhook}},
	} {
		t.Run(name, func(t *testing.T) {
			var options Options
			options.Defaults()
			tc.change(&options)
			certs := newCertificates(options)
			for _, secret := range tc.served {
				_ = certs.own.Server.Take(secret, time.Now()) // what can not be used is refused
			}
			observeCertificates(certs, options)
			page := "# HELP switchyard_manager_certificate_end_timestamp_seconds When a certificate that is served ends (webhook or metrics), in Unix time.\n" +
				"# TYPE switchyard_manager_certificate_end_timestamp_seconds gauge\n"
			for _, sample := range tc.want {
				page += "switchyard_manager_certificate_end_timestamp_seconds" + sample + "\n"
			}
			if len(tc.want) == 0 {
				page = ""
			}
			registry := prometheus.NewPedanticRegistry()
			registry.MustRegister(certificateEnds)
			if err := testutil.GatherAndCompare(registry, strings.NewReader(page)); err != nil {
				t.Error(err)
			}
		})
	}
}
