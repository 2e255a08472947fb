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

package agent

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
)

// A node-local DNS cache puts the ClusterIP of the cluster's DNS on a link of the
// node, to answer it itself.
func TestANodePortDoesNotAnswerOnAClusterIPThatTheNodeHolds(t *testing.T) {
	const own, clusterIP = "172.18.0.2", "10.96.0.10"
	inWorld(t, func(ctx context.Context, w world) {
		w.localAddresses = func() ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr(own), netip.MustParseAddr(clusterIP)}, nil
		}
		w.Node = NodeOptions{NodePorts: NodePortAddresses{CIDRs: anything}}
		w.refreshAddresses(ctx)
		w.setNode(ctx, nodeInZone("a"))
		w.setService(ctx, makeService("dns", clusterIP, 53, tcp))
		w.begin(ctx)
		synctest.Wait()
		expect(t, "where NodePorts answer", []string{fmt.Sprint(w.v4.node.NodePortAddrs)}, []string{"[" + own + "]"})
	})
}
