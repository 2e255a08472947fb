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
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"switchyard.dev/switchyard/internal/version"
)

var (
	buildInfo = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "switchyard_manager_build_info", Help: "Always 1; the label is the version.",
	}, []string{"version"})
	certificateEndDesc = prometheus.NewDesc("switchyard_manager_certificate_end_timestamp_seconds",
		"When a certificate that is served ends (webhook or metrics), in Unix time.", []string{"certificate"}, nil)
	certificateEnds = &certificateCollector{}
)

func init() {
	metrics.Registry.MustRegister(buildInfo, certificateEnds)
	buildInfo.WithLabelValues(version.String()).Set(1)
}

// certificateCollector asks for the ends when it is asked, as certificates are
// renewed while the manager runs. One that is not there has no value.
type certificateCollector struct {
	sources atomic.Pointer[map[string]certificateSource]
}

// certificateSource says when a certificate ends.
type certificateSource func() (time.Time, error)

// observeCertificates has the ends of those measured that this manager serves: of its
// own what it shows, whatever has become of the Secret, and of others' what
// the files have. What it makes for its metrics at each start is none of them: it
// lasts a year.
func observeCertificates(certs *certificates, options Options) {
	sources := map[string]certificateSource{}
	if options.Metrics.Secure && served(options.Metrics.BindAddress) && options.Metrics.Dir != "" {
		sources["metrics"] = options.Metrics.end
	}
	switch {
	case certs.own != nil:
		sources["webhook"] = certs.own.Server.End
	case options.Webhooks.Enabled:
		sources["webhook"] = options.Webhooks.end
	}
	certificateEnds.sources.Store(&sources)
}

// Describe implements prometheus.Collector.
func (c *certificateCollector) Describe(descs chan<- *prometheus.Desc) { descs <- certificateEndDesc }

// Collect implements prometheus.Collector.
func (c *certificateCollector) Collect(values chan<- prometheus.Metric) {
	sources := c.sources.Load()
	if sources == nil {
		return
	}
	for name, source := range *sources {
		if end, err := source(); err == nil {
			values <- prometheus.MustNewConstMetric(certificateEndDesc, prometheus.GaugeValue, float64(end.Unix()), name)
		}
	}
}

// end is that of the certificate that a server shows: the first.
func (f CertFiles) end() (time.Time, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(f.Dir, f.Cert), filepath.Join(f.Dir, f.Key))
	if err != nil {
		return time.Time{}, err
	}
	return pair.Leaf.NotAfter, nil
}
