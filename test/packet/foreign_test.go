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

package packet

import (
	"os/exec"
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/test/prereq"
)

func TestNoTraceOfTheIDIsLeftInThePacket(t *testing.T) {
	eachFamily(t, func(w *world) {
		tool := prereq.Tool(t, "nft", "nftables")
		family := map[model.Family]string{model.IPv4: "ip", model.IPv6: "ip6"}[w.family]
		w.in(w.node, func() error {
			cmd := exec.Command(tool, "-f", "-")
			cmd.Stdin = strings.NewReader(`table ` + family + ` foreign {
				counter leaked {
				}
				counter seen {
				}
				chain postrouting {
					type filter hook postrouting priority 300
					ct status dnat counter name seen
					ct status dnat meta priority != none counter name leaked
				}
			}`)
			return cmd.Run()
		})
		at := w.serve(w.a, "a", w.podIP(podA))
		for network, protocol := range networks {
			w.program(w.service(protocol, at))
			for name, way := range w.ways() {
				if _, err := ask(way.from, network, way.to); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		w.in(w.node, func() error {
			out, err := exec.Command(tool, "list", "counters", "table", family, "foreign").Output()
			leaked, seen, _ := strings.Cut(string(out), "counter seen")
			if !strings.Contains(leaked, "packets 0 ") || strings.Contains(seen, "packets 0 ") {
				t.Errorf("packets left with a priority:\n%s", out)
			}
			return err
		})
	})
}
