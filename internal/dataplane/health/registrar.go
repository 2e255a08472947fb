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

package health

import "github.com/prometheus/client_golang/prometheus"

// registrar makes and registers collectors in one step.
type registrar struct {
	*prometheus.Registry
	families []string
}

// perFamily is a histogram with a series for each family.
func (r registrar) perFamily(name, help string, buckets []float64) *prometheus.HistogramVec {
	h := r.histogram(name, help, buckets, familyLabel)
	for _, family := range r.families {
		h.WithLabelValues(family)
	}
	return h
}

func (r registrar) familyCounter(name, help string) *prometheus.CounterVec {
	c := r.counter(name, help, familyLabel)
	for _, family := range r.families {
		c.WithLabelValues(family)
	}
	return c
}

func (r registrar) familyGauge(name, help string) *prometheus.GaugeVec {
	g := r.gauge(name, help, familyLabel)
	for _, family := range r.families {
		g.WithLabelValues(family)
	}
	return g
}

func (r registrar) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	r.MustRegister(h)
	return h
}

func (r registrar) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	r.MustRegister(g)
	return g
}

func (r registrar) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.MustRegister(c)
	return c
}
