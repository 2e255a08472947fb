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

package metrics

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// registry is what a program serves metrics from.
type registry interface {
	prometheus.Registerer
	prometheus.Gatherer
	Describe(chan<- *prometheus.Desc)
}

// metric is what the page says of one.
type metric struct {
	Name, Type, Labels string
}

var description = regexp.MustCompile(`fqName: "([^"]+)".*constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)

// registered lists the metrics of a program, also those without a value yet. What
// every program in Go has is left out.
func registered(r registry) (map[string]metric, error) {
	described := make(chan *prometheus.Desc)
	go func() { r.Describe(described); close(described) }()
	var descs []*prometheus.Desc // all, before the registry is asked for more: it is locked meanwhile
	for desc := range described {
		descs = append(descs, desc)
	}
	gathered, err := r.Gather()
	if err != nil {
		return nil, err
	}
	typed := map[string]string{}
	for _, family := range gathered {
		typed[family.GetName()] = strings.ToLower(family.GetType().String())
	}
	all := map[string]metric{}
	var errs []string
	for _, desc := range descs {
		match := description.FindStringSubmatch(desc.String())
		if match == nil {
			errs = append(errs, desc.String())
			continue
		}
		if name := match[1]; !ofEveryProgram.MatchString(name) {
			all[name] = metric{name, cmp.Or(typed[name], typeOf(r, desc)), strings.ReplaceAll(match[3], ",", ", ")}
		}
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("descriptions that can not be read: %q", errs)
	}
	return all, nil
}

var ofEveryProgram = regexp.MustCompile(`^(go|process|promhttp|net_conntrack)_`)

// typeOf finds the collector of a description by registering it once more: what has no
// series is not gathered, and a description does not say what it is of. It is empty for
// collectors of our own, and for those of several metrics.
func typeOf(r registry, desc *prometheus.Desc) string {
	again := sameAs{desc}
	err := r.Register(again)
	there, is := errors.AsType[prometheus.AlreadyRegisteredError](err)
	if !is {
		if err == nil {
			r.Unregister(again)
		}
		return ""
	}
	switch there.ExistingCollector.(type) {
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.GaugeVec, prometheus.Gauge: // which has what a Counter has, too
		return "gauge"
	case *prometheus.HistogramVec, prometheus.Histogram:
		return "histogram"
	case prometheus.Counter:
		return "counter"
	}
	return ""
}

// sameAs claims a description.
type sameAs struct{ desc *prometheus.Desc }

// Describe is part of prometheus.Collector.
func (s sameAs) Describe(to chan<- *prometheus.Desc) { to <- s.desc }

// Collect is part of prometheus.Collector.
func (s sameAs) Collect(chan<- prometheus.Metric) {}
