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

package observability

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// metric is what docs/metrics.md says of one.
type metric struct {
	kind   string
	labels []string
	// jobs are of the programs that serve it.
	jobs []string
}

// jobs are what the monitors of config/prometheus call the programs, by the
// sections of the page.
var jobs = map[string]string{
	"Metrics of the node agent": "switchyard-node",
	"Metrics of the manager":    "switchyard-manager",
	"Metrics of the DNS server": "switchyard-dns",
}

var row = regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (counter|gauge|histogram) \\|([a-z0-9_, ]*)\\| .+ \\|$")

// served are all metrics that there are. Those of one name in two programs have
// the labels of both.
func served(t *testing.T) map[string]metric {
	t.Helper()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	everywhere := slices.Collect(maps.Values(jobs))
	all := map[string]metric{
		"up":                            {kind: "gauge", jobs: everywhere},
		"process_resident_memory_bytes": {kind: "gauge", jobs: everywhere},
		"process_cpu_seconds_total":     {kind: "counter", jobs: everywhere},
		"go_goroutines":                 {kind: "gauge", jobs: everywhere},
	}
	for section := range strings.SplitSeq(string(page), "\n## ") {
		title, _, _ := strings.Cut(section, "\n")
		for _, match := range row.FindAllStringSubmatch(section, -1) {
			m := all[match[1]]
			m.kind = match[2]
			if text := strings.TrimSpace(match[3]); text != "" {
				m.labels = append(m.labels, strings.Split(text, ", ")...)
			}
			m.jobs = append(m.jobs, jobs[title])
			all[match[1]] = m
		}
	}
	if len(all) < 100 {
		t.Fatalf("the page has %d metrics only", len(all))
	}
	return all
}

// ofTargets are the labels that collecting adds, with the monitors of config/prometheus.
var ofTargets = []string{"job", "instance", "namespace", "pod", "node", "container", "endpoint"}

// check tells what an expression asks for that is not served.
func check(expression string, known map[string]metric) error {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		return err
	}
	asked := map[string]bool{"le": true}
	for _, l := range ofTargets {
		asked[l] = true
	}
	var problems []string
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			m, err := find(selector.Name, known)
			if err != nil {
				problems = append(problems, err.Error())
				return nil
			}
			if err := ofOurs(selector, m); err != nil {
				problems = append(problems, err.Error())
			}
			for _, matcher := range selector.LabelMatchers {
				if l := matcher.Name; l != labels.MetricName && l != "le" && !slices.Contains(m.labels, l) && !slices.Contains(ofTargets, l) {
					problems = append(problems, fmt.Sprintf("%s has no label %s", selector.Name, l))
				}
			}
			for _, l := range m.labels {
				asked[l] = true
			}
		}
		return nil
	})
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		var named []string
		switch n := node.(type) {
		case *parser.AggregateExpr:
			named = n.Grouping
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				named = slices.Concat(n.VectorMatching.MatchingLabels, n.VectorMatching.Include)
			}
		}
		for _, l := range named {
			if !asked[l] {
				problems = append(problems, fmt.Sprintf("no metric of %q has the label %s", expression, l))
			}
		}
		return nil
	})
	if len(problems) > 0 {
		return fmt.Errorf("%s", strings.Join(problems, "; "))
	}
	return nil
}

// ofOurs holds a selector to our programs: by the metric's name, or by the job of
// one that serves it. kube-proxy, operators and CoreDNS export the same names.
func ofOurs(selector *parser.VectorSelector, m metric) error {
	for _, matcher := range selector.LabelMatchers {
		if matcher.Name != "job" {
			continue
		}
		if slices.ContainsFunc([]string{"", "kube-proxy", "kube-controller-manager", "coredns", "operator"}, matcher.Matches) {
			return fmt.Errorf("%s takes other programs' series, too", selector)
		}
		if !slices.ContainsFunc(m.jobs, matcher.Matches) {
			return fmt.Errorf("%s asks a program that does not serve it: %v do", selector, m.jobs)
		}
		return nil
	}
	if !strings.HasPrefix(selector.Name, "switchyard_") {
		return fmt.Errorf("other programs have %s, too: which job is meant?", selector.Name)
	}
	return nil
}

// find knows what a histogram is asked by.
func find(name string, known map[string]metric) (metric, error) {
	if m, ok := known[name]; ok {
		if m.kind == "histogram" {
			return m, fmt.Errorf("%s is a histogram: ask for _bucket, _sum or _count", name)
		}
		return m, nil
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if m, ok := known[strings.TrimSuffix(name, suffix)]; ok && strings.HasSuffix(name, suffix) && m.kind == "histogram" {
			return m, nil
		}
	}
	return metric{}, fmt.Errorf("no program serves %s", name)
}

func TestExpressionsAreHeldToTheMetrics(t *testing.T) {
	known := served(t)
	for expression, sound := range map[string]bool{
		`rate(switchyard_node_repairs_total{cause="table"}[5m])`:                                        true,
		`histogram_quantile(0.5, sum by (le) (rate(switchyard_admission_duration_seconds_bucket[5m])))`: true,
		`up{job="switchyard-node"}`:                                             true,
		`go_goroutines{job=~"switchyard-.*"}`:                                   true,
		`go_goroutines`:                                                         false,
		`go_goroutines{pod="m1"}`:                                               false,
		`go_goroutines{job!="kubelet"}`:                                         false,
		`workqueue_depth{job="switchyard-manager"}`:                             true,
		`workqueue_depth{job="switchyard-node"}`:                                false,
		`switchyard_dns_build_info{job="switchyard-manager"}`:                   false,
		`rate(switchyard_node_repairs_total{cause="table"}[5m`:                  false,
		`switchyard_node_repair_total`:                                          false,
		`switchyard_admission_duration_seconds`:                                 false,
		`switchyard_node_repairs_total_count`:                                   false,
		`switchyard_node_repairs_total{reason="table"}`:                         false,
		`sum by (reason) (switchyard_node_repairs_total)`:                       false,
		`switchyard_node_endpoints / on (reason) switchyard_node_service_ports`: false,
	} {
		if err := check(expression, known); (err == nil) != sound {
			t.Errorf("%s: %v", expression, err)
		}
	}
}
