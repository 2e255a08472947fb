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

package status

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

var (
	series = regexp.MustCompile(`^(\w+)(?:\{(.*)\})? (\S+)`)
	label  = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)
)

// longestLine bounds a line of a page of metrics.
const longestLine = 1 << 20

// readSeries reads a page of metrics and calls use for each series whose name begins
// with one of the prefixes. The API server's page has megabytes: the rest is skipped.
func readSeries(page io.Reader, prefixes []string, use func(name string, labels map[string]string, value float64)) error {
	lines := bufio.NewScanner(page)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		line := lines.Text()
		if !hasOneOf(line, prefixes) {
			continue
		}
		part := series.FindStringSubmatch(line)
		if part == nil {
			return fmt.Errorf("%.80q is no series", line)
		}
		value, err := strconv.ParseFloat(part[3], 64)
		if err != nil {
			return fmt.Errorf("%.80q has no number", line)
		}
		labels := map[string]string{}
		for _, pair := range label.FindAllStringSubmatch(part[2], -1) {
			labels[pair[1]] = pair[2]
		}
		use(part[1], labels, value)
	}
	return lines.Err()
}

func hasOneOf(line string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}
