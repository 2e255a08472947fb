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
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/test/prereq"
)

// Sequential or kept source ports collide when many clients come to share one
// address.
func TestMasqueradeChoosesAnySourcePort(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.a, "a", w.podIP(podA))
		for network, protocol := range networks {
			w.program(w.service(protocol, at))
			seen := map[uint16]bool{}
			for range 4 {
				conn, err := dial(w.outside, network, netip.AddrPortFrom(w.nodeIP(), nodePort))
				if err != nil {
					w.Fatal(err)
				}
				got, err := exchange(conn)
				if err != nil || got.source != w.podIP(gateway) {
					w.Errorf("%s: got %v, %v", network, got, err)
				}
				if own := netip.MustParseAddrPort(conn.LocalAddr().String()).Port(); got.port != own {
					seen[got.port] = true
				}
				_ = conn.Close()
			}
			// Each is its own by chance once in 28,000 times.
			if len(seen) < 3 {
				w.Errorf("%s: the source ports are kept or repeated: %d others", network, len(seen))
			}
		}
	})
}

// Marks are shared by all software of a node: tunnels, policy routing and
// other proxies take ours for theirs. Only TCP is looked at: the kernel's own
// multicast listener reports leave with what their buffer reserved where the mark
// is (struct sk_buff, a union of the two).
func TestNoPacketIsMarked(t *testing.T) {
	eachFamily(t, func(w *world) {
		tool := prereq.Tool(t, "nft", "nftables")
		family := map[model.Family]string{model.IPv4: "ip", model.IPv6: "ip6"}[w.family]
		w.in(w.node, func() error {
			cmd := exec.Command(tool, "-f", "-")
			cmd.Stdin = strings.NewReader(`table ` + family + ` foreign {
				counter marked {
				}
				counter seen {
				}
				chain late-postrouting {
					type filter hook postrouting priority 300
					ct status dnat counter name seen
					meta l4proto tcp meta mark != 0 counter name marked
					ct mark != 0 counter name marked
				}
				chain forward {
					type filter hook forward priority 300
					meta l4proto tcp meta mark != 0 counter name marked
				}
			}`)
			return cmd.Run()
		})
		at := w.serve(w.a, "a", w.podIP(podA))
		w.program(w.service(model.TCP, at))
		for name, way := range w.allWays() {
			if _, err := ask(way.from, "tcp", way.to); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.in(w.node, func() error {
			out, err := exec.Command(tool, "list", "counters", "table", family, "foreign").Output()
			marked, seen, _ := strings.Cut(string(out), "counter seen")
			if !strings.Contains(marked, "packets 0 ") || strings.Contains(seen, "packets 0 ") {
				t.Errorf("packets or connections were marked:\n%s", out)
			}
			return err
		})
	})
}

func TestMasqueradeAllHoldsForEveryClientOfAClusterIP(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.a, "a", w.podIP(podA))
		w.config.MasqueradeAll = true
		for network, protocol := range networks {
			w.program(w.service(protocol, at))
			for name, way := range w.allWays() {
				if !toClusterIP(name) {
					continue
				}
				w.Run(network+" "+name, func(t *testing.T) {
					if got, err := ask(way.from, network, way.to); err != nil || got.source != w.podIP(gateway) {
						t.Errorf("got %v, %v; want the source %s", got, err, w.podIP(gateway))
					}
				})
			}
		}
	})
}
