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
	"fmt"
	"net/netip"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl/nfnltest"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// crowd are n ServicePorts with two endpoints each, up to 65,536.
func crowd(family model.Family, n int) []policy.Decision {
	all := make([]policy.Decision, 0, n)
	for i := range n {
		d := decision(family, 1, 0)
		d.Name.Name = fmt.Sprintf("s%05d", i)
		d.ClusterIP = ip(family, 96, i)
		d.Cluster = []netip.AddrPort{netip.AddrPortFrom(ip(family, 1, i), 80), netip.AddrPortFrom(ip(family, 2, i), 80)}
		all = append(all, d)
	}
	return all
}

func TestTheLargestTableIsReplaced(t *testing.T) {
	const services = 50_000
	family := model.IPv6 // the longer addresses
	ns := newNamespace(t)
	fullSync(t, open(t, ns, family, nft.Options{Features: everyFeature}), node(family), mixture(family))
	ours := open(t, ns, family, nft.Options{})
	result := fullSync(t, ours, node(family), crowd(family, services))
	if !result.Recreated || result.Added < 4*services {
		t.Errorf("%+v", result)
	}
	expectSynced(t, ours, family, crowd(family, services))
	expectNoStandIn(t, ns)
}

func TestATableIsReplacedInPartsThatCanBeSent(t *testing.T) {
	const services = 5_000
	for _, family := range families {
		ns := newNamespace(t)
		fullSync(t, open(t, ns, family, nft.Options{Features: everyFeature}), node(family), mixture(family))
		// What a socket gets by default where nothing may exceed it.
		faults := &nfnltest.Faults{SendLimit: 2 * 212_992}
		ours := open(t, ns, family, nft.Options{Dial: faults.Dial})
		result := fullSync(t, ours, node(family), crowd(family, services))
		if !result.Recreated || result.Transactions < 2 || result.Added < 4*services {
			t.Errorf("%s: %+v", family, result)
		}
		expectSynced(t, open(t, ns, family, nft.Options{}), family, crowd(family, services))
	}
}
