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

package nft_test

import (
	"context"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// peer leads the flood's Service as kube-proxy does: what it translates and the
// node is to masquerade, it knows by a mark.
const peer = `
table ip peer {
	chain prerouting {
		type nat hook prerouting priority -100
		ip daddr 10.200.0.1 meta mark set meta mark | 0x4000
		ip daddr 10.200.0.1 dnat to 10.2.0.1
	}
	chain postrouting {
		type nat hook postrouting priority 100
		meta mark & 0x4000 != 0 masquerade
	}
}`

// Each packet of the flood is a connection: what is lost is not sent again.
func TestNoConnectionIsLostWhenAnotherTakesOver(t *testing.T) {
	const times = 40
	f := newFlood(t)
	tool(t, f.node, peer, "-f", "-")
	ours := open(t, f.node, model.IPv4, nft.Options{})
	desired := []policy.Decision{f.service}
	arrived, lost := f.during(func() {
		for range times {
			fullSync(t, ours, node(model.IPv4), desired)
			f.busyNeighbour()
			f.do(f.node, func() error { return nft.Cleanup(context.Background(), []model.Family{model.IPv4}) })
		}
	})
	if lost > 0 || arrived < 100*times {
		t.Errorf("%d of %d connections were lost", lost, arrived)
	}
}
