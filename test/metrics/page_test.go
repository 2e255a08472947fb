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
	"os"
	"regexp"
	"strings"
	"testing"
)

// The programs, as headings of the page name them.
const (
	node    = "node agent"
	manager = "manager"
	dns     = "DNS server"
)

var (
	heading = regexp.MustCompile(`^## Metrics of the (.+)$`)
	likeRow = regexp.MustCompile("^\\| `[a-z0-9_]+` \\|[^|]*\\|[^|]*\\|[^|]*\\|$")
	row     = regexp.MustCompile("^\\| `([a-z0-9_]+)` \\| (counter|gauge|histogram|summary) \\|([a-z0-9_, ]*)\\| .+ \\|$")
)

// documented are the rows of the page's tables that begin with a metric, by program.
func documented(t *testing.T) map[string]map[string]metric {
	t.Helper()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := map[string]map[string]metric{}
	var program map[string]metric
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSuffix(line, "\n")
		if match := heading.FindStringSubmatch(line); match != nil {
			program = map[string]metric{}
			programs[match[1]] = program
		}
		match := row.FindStringSubmatch(line)
		switch {
		case match == nil && program != nil && likeRow.MatchString(line):
			t.Errorf("a row that can not be read: %s", line)
		case match == nil:
		case program == nil:
			t.Errorf("a metric of no program: %s", line)
		default:
			if _, twice := program[match[1]]; twice {
				t.Errorf("the page lists %s twice", match[1])
			}
			program[match[1]] = metric{match[1], match[2], strings.TrimSpace(match[3])}
		}
	}
	return programs
}
