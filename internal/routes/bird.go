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

package routes

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// mark is how a file of ours begins. A file without it is somebody else's.
const mark = "Written by switchyard-node"

const birdHeader = "# " + mark + `, which replaces it. Changes by hand are lost.
# The tables switchyard4 and switchyard6 are those of the configuration that
# includes this file.
`

// birdProtocols are the names of what the snippet defines: IPv4's, then IPv6's.
var birdProtocols = [2]string{"switchyard_ipv4", "switchyard_ipv6"}

// birdSnippet defines a static protocol for each family, whose routes are in a
// table of their own: none of them is in BIRD's main tables, from where many
// configurations copy all there is into the kernel. There they would keep the
// node's own processes from the addresses.
func birdSnippet(prefixes []netip.Prefix) string {
	var b strings.Builder
	b.WriteString(birdHeader)
	for i, family := range split(prefixes) {
		fmt.Fprintf(&b, "protocol static %s {\n\tipv%d { table switchyard%[2]d; };\n", birdProtocols[i], 4+2*i)
		for _, p := range family {
			fmt.Fprintf(&b, "\troute %s blackhole;\n", p)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// birdReply is what BIRD answers to one command: lines that begin with codes of
// four digits, of which the last is that of the outcome.
var birdLine = regexp.MustCompile(`(?m)^(\d{4})[ -](.*)$`)

// birdRefused are the codes of BIRD's errors: 8xxx at run time, 9xxx in the
// command.
const birdRefused = 8000

// birdOutcome is the last line of a reply that has a code. A reply without any is
// not BIRD's.
func birdOutcome(reply string) (code int, text string, ok bool) {
	lines := birdLine.FindAllStringSubmatch(reply, -1)
	if len(lines) == 0 {
		return 0, "", false
	}
	last := lines[len(lines)-1]
	code, _ = strconv.Atoi(last[1]) // four digits
	return code, last[2], true
}

var birdRoutes = regexp.MustCompile(`^(\d+) of \d+ routes? for `)

// birdCount reads the answer to `show route protocol ... count`.
func birdCount(reply string) (int, bool) {
	_, text, ok := birdOutcome(reply)
	if match := birdRoutes.FindStringSubmatch(text); ok && match != nil {
		n, err := strconv.Atoi(match[1])
		return n, err == nil
	}
	return 0, false
}
