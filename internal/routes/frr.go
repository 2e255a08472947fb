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
	"slices"
	"strings"
)

const frrHeader = "! " + mark + `, which replaces it. Changes by hand are lost.
! FRR has been given these lines; they are what was to be changed at that time.
`

// frrMap is the name of the route map that marks our networks. Who runs the
// daemon may add to it, for example communities.
const frrMap = "SWITCHYARD"

// frrState is what bgpd's running configuration says about us.
type frrState struct {
	// AS is the number behind `router bgp` of the default VRF, empty without one.
	AS string
	// Ours are the networks that have our route map, Others those without.
	Ours, Others []netip.Prefix
	// Marked says whether our route map is there.
	Marked bool
	// Unchecked says that networks are announced without a route in the kernel.
	Unchecked bool
}

// readFRR reads what `show running-config` prints.
func readFRR(running string) frrState {
	var s frrState
	inside := false
	for line := range strings.Lines(running) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case !strings.HasPrefix(line, " "):
			// Behind the number may be the notation of numbers, or another VRF.
			inside = len(words) >= 3 && words[0] == "router" && words[1] == "bgp" && !slices.Contains(words, "vrf") && !slices.Contains(words, "view")
			if inside {
				s.AS = words[2]
			}
			s.Marked = s.Marked || len(words) >= 2 && words[0] == "route-map" && words[1] == frrMap
		case !inside:
		case strings.Join(words, " ") == "no bgp network import-check":
			s.Unchecked = true
		case words[0] == "network" && len(words) >= 2:
			prefix, err := netip.ParsePrefix(words[1])
			switch {
			case err != nil:
			case slices.Equal(words[2:], []string{"route-map", frrMap}):
				s.Ours = append(s.Ours, prefix)
			default:
				s.Others = append(s.Others, prefix)
			}
		}
	}
	s.Ours, s.Others = sorted(s.Ours), sorted(s.Others)
	return s
}

// frrChange is what is to be added to and removed from a state. A network that
// is configured without our mark is left as it is: it is announced already.
func frrChange(s frrState, want []netip.Prefix) (add, remove []netip.Prefix) {
	among := func(list []netip.Prefix) func(netip.Prefix) bool {
		set := map[netip.Prefix]bool{}
		for _, p := range list {
			set[p] = true
		}
		return func(p netip.Prefix) bool { return set[p] }
	}
	wanted, ours, others := among(want), among(s.Ours), among(s.Others)
	for _, p := range want {
		if !ours(p) && !others(p) {
			add = append(add, p)
		}
	}
	for _, p := range s.Ours {
		if !wanted(p) {
			remove = append(remove, p)
		}
	}
	return add, remove
}

// frrSnippet makes the change, and the route map without which FRR announces
// none of the networks. Its only clause is the last one possible, so that it
// comes after all that others add.
func frrSnippet(as string, add, remove []netip.Prefix) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%sroute-map %s permit 65535\nexit\nrouter bgp %s\n", frrHeader, frrMap, as)
	added, removed := split(add), split(remove)
	for i := range added {
		if len(added[i])+len(removed[i]) == 0 {
			continue
		}
		fmt.Fprintf(&b, " address-family ipv%d unicast\n", 4+2*i)
		for _, p := range added[i] {
			fmt.Fprintf(&b, "  network %s route-map %s\n", p, frrMap)
		}
		for _, p := range removed[i] {
			fmt.Fprintf(&b, "  no network %s\n", p)
		}
		b.WriteString(" exit-address-family\n")
	}
	b.WriteString("exit\n")
	return b.String()
}
