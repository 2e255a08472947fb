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

package allocator

import (
	"fmt"
	"strconv"
	"strings"
)

// Ports is a range of NodePorts.
type Ports = Range[int32]

// PortSpan is the first and the last port of a range, both included.
type PortSpan struct{ First, Last int32 }

// DefaultNodePorts is the API server's default --service-node-port-range.
var DefaultNodePorts = PortSpan{First: 30000, Last: 32767}

// ParsePortSpan reads "30000-32767", or "30000+100" as the API server does, for
// the 101 ports from 30000 to 30100.
func ParsePortSpan(value string) (PortSpan, error) {
	first, last, dash := strings.Cut(value, "-")
	plus := false
	if !dash {
		first, last, plus = strings.Cut(value, "+")
	}
	low, errLow := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	high, errHigh := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
	if plus {
		high += low
	}
	if !dash && !plus || errLow != nil || errHigh != nil || low == 0 || high < low || high > 65535 {
		return PortSpan{}, fmt.Errorf("port range %q: want FIRST-LAST with 1 <= FIRST <= LAST <= 65535, like %s", value, DefaultNodePorts)
	}
	return PortSpan{First: int32(low), Last: int32(high)}, nil
}

// String is FIRST-LAST.
func (s PortSpan) String() string { return fmt.Sprintf("%d-%d", s.First, s.Last) }

// NewPorts is an empty range over the span.
func NewPorts(span PortSpan) *Ports {
	size := uint64(span.Last-span.First) + 1
	return newRange[int32](span, size, portBand(size))
}

func (s PortSpan) offset(port int32) (uint64, bool) {
	return uint64(port - s.First), s.First <= port && port <= s.Last
}

func (s PortSpan) number(offset uint64) int32 { return s.First + int32(offset) }

func (s PortSpan) text(port int32) string { return strconv.Itoa(int(port)) }
