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
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/policy"
)

func TestInternalPolicyLocalIsStickyAmongTheNodesEndpoints(t *testing.T) {
	eachFamilyCrowded(t, 12, func(c *crowd) {
		d := c.sticky(c.a, c.b, c.c)
		d.Local, d.Internal = []netip.AddrPort{c.a, c.b}, policy.LocalScope
		c.program(d)
		first := c.choices(c.vip())
		met := map[string]int{}
		for _, server := range first {
			met[server]++
		}
		if met["c"] > 0 || met["a"] == 0 || met["b"] == 0 { // by chance once in 2,000 times
			c.Errorf("clients met %v, want a and b", met)
		}
		for range 3 {
			if diff := moved(first, c.choices(c.vip())); len(diff) != 0 {
				c.Errorf("%v moved", diff)
			}
		}
		d.Local, d.Cluster = []netip.AddrPort{c.b}, []netip.AddrPort{c.b, c.c}
		d.Near, d.Known = d.Cluster, d.Cluster
		c.apply(d)
		for client, server := range c.choices(c.vip()) {
			if server != "b" {
				c.Errorf("%s met %s when the node had b alone", client, server)
			}
		}
		d.Internal, d.Local = policy.ClusterScope, nil
		c.apply(d)
		last := c.choices(c.vip())
		if diff := moved(last, c.choices(c.vip())); len(diff) != 0 {
			c.Errorf("%v moved once the policy was Cluster", diff)
		}
	})
}
