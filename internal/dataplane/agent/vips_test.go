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

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// A machine may hold the VIP of a Service, as with keepalived. NodePorts of
// other Services must not answer there (kubernetes #111863), health checks must.
func TestANodePortDoesNotAnswerOnAVIPThatTheNodeHolds(t *testing.T) {
	const own, other, vip = "172.18.0.2", "192.168.7.7", "203.0.113.9"
	inWorld(t, func(ctx context.Context, w world) {
		w.localAddresses = func() ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr(own), netip.MustParseAddr(other), netip.MustParseAddr(vip)}, nil
		}
		w.Node = NodeOptions{NodePorts: NodePortAddresses{CIDRs: anything}}
		w.refreshAddresses(ctx)
		w.setNode(ctx, nodeInZone("a"))
		claiming := func(vips ...string) *corev1.Service {
			svc := makeService("web", "10.96.0.1", 80, tcp)
			svc.Spec.ExternalIPs = vips
			return svc
		}
		w.setService(ctx, claiming(vip))
		w.begin(ctx)
		state := func() []string {
			synctest.Wait()
			return []string{fmt.Sprint(w.v4.node.NodePortAddrs), fmt.Sprint(w.checkAddresses(model.IPv4))}
		}
		everywhere := fmt.Sprintf("[%s %s %s]", own, other, vip)
		expect(t, "at first", state(), []string{fmt.Sprintf("[%s %s]", own, other), everywhere})
		w.setService(ctx, claiming())
		expect(t, "once it is no VIP", state(), []string{everywhere, everywhere})
		w.setService(ctx, claiming(own, other))
		expect(t, "two others, one of them the node's own", state(), []string{fmt.Sprintf("[%s %s]", own, vip), everywhere})
		w.v4.takeCalls()
		w.setService(ctx, claiming(other, "198.51.100.1"))
		synctest.Wait()
		expect(t, "calls for what makes no difference", w.v4.takeCalls(), []string{"apply +1 -0"})
		w.deleteService(ctx, "default", "web")
		expect(t, "deleted", state(), []string{everywhere, everywhere})
	})
}
