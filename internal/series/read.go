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

package series

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// longestLine bounds a line of a page, in bytes.
const longestLine = 1 << 20

// Read calls use for each series of the page whose name begins with one of the
// prefixes. The error is that of the page, or tells of a line of these that is no
// series; what comes before it was used.
// https://prometheus.io/docs/instrumenting/exposition_formats/
func Read(page io.Reader, prefixes []string, use func(name string, labels map[string]string, value float64)) error {
	lines := bufio.NewScanner(page)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		line := lines.Text()
		if !hasOneOf(line, prefixes) {
			continue
		}
		name, labels, value, err := parse(line)
		if err != nil {
			return fmt.Errorf("%.80q is no series: %w", line, err)
		}
		use(name, labels, value)
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

// parse reads "name{label="value",...} value", which a time may follow.
func parse(line string) (name string, labels map[string]string, value float64, err error) {
	end := strings.IndexAny(line, "{ \t")
	if end < 0 {
		return "", nil, 0, errors.New("it has no number")
	}
	name, rest := line[:end], strings.TrimLeft(line[end:], " \t")
	labels = map[string]string{}
	if strings.HasPrefix(rest, "{") {
		if rest, err = parseLabels(rest[1:], labels); err != nil {
			return "", nil, 0, err
		}
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return "", nil, 0, errors.New("it has no number")
	}
	value, err = strconv.ParseFloat(fields[0], 64)
	return name, labels, value, err
}

var errLabels = errors.New("its labels do not end")

// parseLabels reads what is behind the brace into labels, and returns what is behind
// the other one.
func parseLabels(text string, labels map[string]string) (rest string, err error) {
	for {
		text = strings.TrimLeft(text, " \t,")
		if after, ends := strings.CutPrefix(text, "}"); ends {
			return after, nil
		}
		name, after, has := strings.Cut(text, "=")
		after, quoted := strings.CutPrefix(strings.TrimLeft(after, " \t"), `"`)
		if !has || !quoted {
			return "", errLabels
		}
		end := quoteEnd(after)
		if end < 0 {
			return "", errLabels
		}
		labels[strings.TrimRight(name, " \t")] = unescape.Replace(after[:end])
		text = after[end+1:]
	}
}

// quoteEnd is where the first quote is that nothing escapes.
func quoteEnd(text string) int {
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case '\\':
			at++
		case '"':
			return at
		}
	}
	return -1
}

// unescape is all that the format escapes.
var unescape = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")
