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

package security

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/testenv"
)

var (
	goTest = regexp.MustCompile(`^(Test|Fuzz)\w+$`)
	named  = regexp.MustCompile("`([^`]+)`|\"([^\"]+)\"")
)

// The page says which test fails when a threat is not met any longer, so it must not
// outlive them.
func TestEachThreatHasATestOrIsAccepted(t *testing.T) {
	page := text(t, "docs", "threat-model.md")
	tests := functions(t, "(?:Test|Fuzz)")
	specs := testenv.TestSources(t, "test/envtest/admission") + testenv.TestSources(t, "test/envtest/loadbalancer") +
		testenv.TestSources(t, "test/envtest/reservations") + testenv.TestSources(t, "test/envtest/pools")
	rows := 0
	for _, cells := range threats(page) {
		rows++
		threat, last := cells[0], cells[len(cells)-1]
		found := named.FindAllStringSubmatch(last, -1)
		if len(found) == 0 && (last != "*accepted*" || !strings.Contains(cells[len(cells)-2], "*accepted*")) {
			t.Errorf("%s: no test is named, and it is not said why that is accepted", threat)
		}
		for _, name := range found {
			switch {
			case name[1] != "" && !goTest.MatchString(name[1]):
				t.Errorf("%s: %s is no name of a test", threat, name[1])
			case name[1] != "" && len(tests[name[1]]) == 0:
				t.Errorf("%s: there is no test %s", threat, name[1])
			case len(tests[name[1]]) > 1:
				t.Errorf("%s: %s may be any of those in %v: give it a name of its own", threat, name[1], tests[name[1]])
			case name[2] != "" && !strings.Contains(specs, "It(\""+name[2]+"\""):
				t.Errorf("%s: there is no spec %q", threat, name[2])
			}
		}
	}
	if rows < 40 {
		t.Errorf("only %d threats were read", rows)
	}
}

// threats are the rows of the tables that end with the tests.
func threats(page string) [][]string {
	var rows [][]string
	inTable := false
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case slices.Contains(cells, "Test"):
			inTable = true
		case inTable && !strings.HasPrefix(line, "|--"):
			rows = append(rows, cells)
		}
	}
	return rows
}

// labels are all that the metrics of a program may have: their values are words of
// our code, or of who runs the cluster. Another one is to be looked at before it is
// written here: who may make Services, namespaces, pools or queries must not be able
// to make series without end.
var labels = []struct{ of, are string }{
	{"^switchyard_node_service_(connections_total|tracked_(connections|packets|bytes))$", "namespace service ip_family"}, // so many objects and no more
	{"^switchyard_pool_numbers$", "pool use family state"},                                                               // likewise
	{"^switchyard_", "action at cause certificate family field ip_family kind object of operation part range reason result rule scope status type version"},
	{"^kubeproxy_", "code ip_family traffic_policy"},
	{"^endpoint_slice_", "operation result topology traffic_distribution"},
	{"^rest_client_", "code host method verb"}, // the host is the API server's
	{"^controller_runtime_", "code controller operation result webhook"},
	{"^workqueue_", "controller name priority"},
	{"^leader_election_", "name"},
	{"^certwatcher_", ""},
	// Servers, zones, views, templates and files are the Corefile's, and so are those
	// that are asked. Types, classes and codes that are not known have one word.
	{"^coredns_", "class family goversion hash hostsfile name plugin proto proxy_name rcode revision section server service_kind status template to type value version view zone zones"},
}

// TestNoMetricHasALabelThatATenantFills reads the page; test/metrics compares that
// with what is served.
func TestNoMetricHasALabelThatATenantFills(t *testing.T) {
	rows := regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (?:counter|gauge|histogram|summary) \\|([^|]*)\\|").
		FindAllStringSubmatch(text(t, "docs", "metrics.md"), -1)
	if len(rows) < 100 {
		t.Fatalf("only %d metrics were read", len(rows))
	}
	for _, row := range rows {
		allowed := allowed(row[1])
		for label := range strings.FieldsSeq(strings.ReplaceAll(row[2], ",", " ")) {
			if !slices.Contains(allowed, label) {
				t.Errorf("%s has the label %s: who fills it? If not tenants, add it to the list of this test", row[1], label)
			}
		}
	}
}

// allowed are the labels of the first row that is of a metric.
func allowed(metric string) []string {
	for _, row := range labels {
		if regexp.MustCompile(row.of).MatchString(metric) {
			return strings.Fields(row.are)
		}
	}
	return nil
}

func text(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{testenv.Root()}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
