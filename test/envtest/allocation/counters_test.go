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

package allocation

import (
	"bufio"
	"bytes"
	"context"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"switchyard.dev/switchyard/allocator"
)

// counters are the rows about what is counted.
func counters(s *scene) {
	It("counts allocations and errors, static and dynamic", func(ctx SpecContext) {
		before, oursBefore := s.metrics(ctx), ownMetrics()
		first := at(service("first", corev1.ServiceTypeNodePort, 30003), "10.0.0.9")
		s.create(ctx, first)
		s.observed(first)
		s.create(ctx, service("auto", corev1.ServiceTypeNodePort, 0))
		Expect(s.admin.Create(ctx, service("late", corev1.ServiceTypeNodePort, 30003))).NotTo(Succeed())
		rose := func(series string, by float64) {
			GinkgoHelper()
			Expect(s.metrics(ctx)[series]-before[series]).To(Equal(by), series)
		}
		// What we choose is explicit to the server, and what we refuse it never sees.
		chosen, refused := 0.0, 1.0
		if s.mode == allocator.Authoritative {
			chosen = 1
		}
		if !s.stock() {
			refused = 0
		}
		const addresses, ports = "kube_apiserver_clusterip_allocator_", "kube_apiserver_nodeport_allocator_"
		rose(ports+`allocation_total{scope="static"}`, 1+chosen)
		rose(ports+`allocation_total{scope="dynamic"}`, 1-chosen)
		rose(ports+`allocation_errors_total{scope="static"}`, refused)
		rose(addresses+`allocation_total{cidr="10.0.0.0/27",scope="static"}`, 1+chosen)
		rose(addresses+`allocation_total{cidr="10.0.0.0/27",scope="dynamic"}`, 1-chosen+refused)
		Expect(s.metrics(ctx)).To(HaveKeyWithValue(ports+"allocated_ports", 2.0))
		Expect(s.metrics(ctx)).To(HaveKeyWithValue(ports+"available_ports", 18.0))
		if s.stock() {
			return
		}
		roseHere := func(series string, by float64) {
			GinkgoHelper()
			Expect(ownMetrics()[series]-oursBefore[series]).To(Equal(by), series)
		}
		roseHere("switchyard_allocator_allocation_errors_total NodePort static", 1)
		roseHere("switchyard_allocator_requests_total denied", 1)
		roseHere("switchyard_allocator_allocations_total NodePort", chosen)
		roseHere("switchyard_allocator_allocations_total ClusterIP", chosen)
		Eventually(ownMetrics).Should(And(
			HaveKeyWithValue("switchyard_allocator_allocated  NodePort 30000-30019", 2.0),
			HaveKeyWithValue("switchyard_allocator_available  NodePort 30000-30019", 18.0),
			HaveKeyWithValue("switchyard_allocator_allocated ipv4 ClusterIP 10.0.0.0/27", 3.0)))
	})
}

// ownMetrics are those of the manager, by name and the values of the labels.
func ownMetrics() map[string]float64 {
	GinkgoHelper()
	families, err := metrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.Metric {
			series := family.GetName()
			for _, label := range metric.Label {
				series += " " + label.GetValue()
			}
			values[series] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return values
}

// writes counts what the API server has written to etcd about numbers.
type writes struct{ addresses, ports int }

func (w writes) since(before writes) writes {
	return writes{addresses: w.addresses - before.addresses, ports: w.ports - before.ports}
}

func (s *scene) writes(ctx context.Context) writes {
	GinkgoHelper()
	all := s.metrics(ctx)
	count := func(resource string) (n int) {
		for series, value := range all {
			if strings.HasPrefix(series, "etcd_request_duration_seconds_count{") && strings.Contains(series, "resource=\""+resource+"\"") &&
				(strings.Contains(series, "operation=\"create\"") || strings.Contains(series, "operation=\"update\"") || strings.Contains(series, "operation=\"delete\"")) {
				n += int(value)
			}
		}
		return n
	}
	return writes{addresses: count("ipaddresses"), ports: count("servicenodeportallocations")}
}

// metrics are those of the API server, by series.
func (s *scene) metrics(ctx context.Context) map[string]float64 {
	GinkgoHelper()
	clientset, err := kubernetes.NewForConfig(s.cfg)
	Expect(err).NotTo(HaveOccurred())
	text, err := clientset.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	Expect(err).NotTo(HaveOccurred())
	values := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if at := strings.LastIndexByte(lines.Text(), ' '); at > 0 && lines.Text()[0] != '#' {
			if value, err := strconv.ParseFloat(lines.Text()[at+1:], 64); err == nil {
				values[lines.Text()[:at]] = value
			}
		}
	}
	return values
}
