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
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

func nodeInZone(zone string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{corev1.LabelTopologyZone: zone}},
		Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "172.18.0.2"}}},
	}
}

// hinted gives each endpoint of a slice to a zone.
func hinted(eps *discoveryv1.EndpointSlice, zones ...string) *discoveryv1.EndpointSlice {
	for i, zone := range zones {
		eps.Endpoints[i].Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: zone}}}
	}
	return eps
}

func TestANewZoneChangesOnlyServicesWithHints(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.setNode(ctx, nodeInZone("a"))
		w.setService(ctx, makeService("web", "10.96.0.1", 80, tcp))
		w.setSlice(ctx, hinted(makeSlice("web", 8080, tcp, "10.0.0.1", "10.0.0.2"), "a", "b"))
		w.setService(ctx, makeService("api", "10.96.0.2", 81, tcp))
		w.setSlice(ctx, makeSlice("api", 8080, tcp, "10.0.0.3", "10.0.0.4"))
		w.begin(ctx)
		synctest.Wait()
		expect(t, "in zone a", w.v4.lines()[1:], []string{"default/web/TCP 10.96.0.1:80 -> [10.0.0.1:8080]"})
		w.v4.takeCalls()
		w.setNode(ctx, nodeInZone("b"))
		synctest.Wait()
		expect(t, "in zone b", w.v4.lines(), []string{
			"default/api/TCP 10.96.0.2:81 -> [10.0.0.3:8080 10.0.0.4:8080]",
			"default/web/TCP 10.96.0.1:80 -> [10.0.0.2:8080]",
		})
		expect(t, "calls", w.v4.takeCalls(), []string{"apply +1 -0"})
	})
}

func TestANodeObjectMayComeAndGo(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.Node = NodeOptions{NodePorts: NodePortAddresses{Primary: true}}
		own := []netip.Addr{netip.MustParseAddr("172.18.0.2"), netip.MustParseAddr("192.168.7.7")}
		w.localAddresses = func() ([]netip.Addr, error) { return own, nil }
		w.refreshAddresses(ctx)
		w.begin(ctx)
		synctest.Wait()
		state := func() []string {
			synctest.Wait()
			return []string{fmt.Sprint(w.v4.node.NodePortAddrs), fmt.Sprint("wants traffic: ", wantsTraffic(w))}
		}
		expect(t, "before it is registered", state(), []string{"[172.18.0.2 192.168.7.7]", "wants traffic: false"})
		w.setNode(ctx, nodeInZone("a"))
		expect(t, "registered", state(), []string{"[172.18.0.2]", "wants traffic: true"})
		w.v4.takeCalls()
		w.deleteNode()
		expect(t, "deleted", state(), []string{"[172.18.0.2]", "wants traffic: false"})
		w.setNode(ctx, nodeInZone("a"))
		expect(t, "made again", state(), []string{"[172.18.0.2]", "wants traffic: true"})
		expect(t, "calls since it was registered", w.v4.takeCalls(), nil)
	})
}

func TestOtherSettingsTakeEffectAtOnce(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.setNode(ctx, nodeInZone("a"))
		w.begin(ctx)
		synctest.Wait()
		w.v6.takeCalls()
		w.SetNodeOptions(ctx, NodeOptions{DetectLocal: DetectLocal{ClusterCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")}}})
		synctest.Wait()
		expect(t, "local pods", []string{fmt.Sprint(w.v4.node.LocalPods)}, []string{"[10.244.0.0/16]"})
		expect(t, "calls of the family that is not concerned", w.v6.takeCalls(), nil)
	})
}

func local(eps *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	for i := range eps.Endpoints {
		eps.Endpoints[i].NodeName = new("n1")
	}
	return eps
}

func TestHealthCheckNodePortsFollowTheKernel(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.Node = NodeOptions{NodePorts: NodePortAddresses{Primary: true}}
		w.setNode(ctx, nodeInZone("a"))
		lb := makeService("lb", "10.96.0.1", 80, tcp)
		lb.Spec.Type, lb.Spec.ExternalTrafficPolicy, lb.Spec.HealthCheckNodePort = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal, 32000
		w.setService(ctx, lb)
		w.setService(ctx, makeService("web", "10.96.0.2", 81, tcp))
		w.begin(ctx)
		synctest.Wait()
		expect(t, "without endpoints", w.checks.serving(), []string{"default/lb :32000 [172.18.0.2] 0"})
		calls := w.checks.calls
		w.setSlice(ctx, local(makeSlice("web", 8080, tcp, "10.0.0.9")))
		synctest.Wait()
		if w.checks.calls != calls {
			t.Error("a Service without health check cost a look at all of them")
		}
		w.v4.refuse = 1
		w.setSlice(ctx, local(makeSlice("lb", 8080, tcp, "10.0.0.1", "10.0.0.2")))
		synctest.Wait()
		expect(t, "while the kernel refuses", w.checks.serving(), []string{"default/lb :32000 [172.18.0.2] 0"})
		time.Sleep(time.Second)
		expect(t, "with two pods here", w.checks.serving(), []string{"default/lb :32000 [172.18.0.2] 2"})
		w.deleteService(ctx, "default", "lb")
		synctest.Wait()
		expect(t, "deleted", w.checks.serving(), nil)
	})
}

func TestATakenHealthCheckPortIsSaidOnceAndTriedAgain(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.setNode(ctx, nodeInZone("a"))
		w.checks.taken = 32000
		lb := makeService("lb", "10.96.0.1", 80, tcp)
		lb.Spec.Type, lb.Spec.ExternalTrafficPolicy, lb.Spec.HealthCheckNodePort = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal, 32000
		w.setService(ctx, lb)
		w.begin(ctx)
		time.Sleep(5 * checksAgain)
		want := "Warning FailedToStartServiceHealthcheck listening for health checks on 172.18.0.2:32000: no buffer space available"
		if got := <-w.events.Events; got != want {
			t.Errorf("event %q, want %q", got, want)
		}
		if n := len(w.events.Events); n != 0 {
			t.Errorf("%d more events about the same", n)
		}
		w.checks.mu.Lock()
		w.checks.taken = 0
		w.checks.mu.Unlock()
		time.Sleep(2 * checksAgain)
		expect(t, "once it is free", w.checks.serving(), []string{"default/lb :32000 [172.18.0.2] 0"})
	})
}

// wakes counts how often a lane looks at its health checks.
type wakes struct {
	decider
	count atomic.Int64
}

func (w *wakes) checkAddresses(family model.Family) []netip.Addr {
	w.count.Add(1)
	return w.decider.checkAddresses(family)
}

func TestATakenHealthCheckPortWakesTheLaneOncePerPause(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		counted := &wakes{decider: w.Agent}
		w.lanes[model.IPv4].decider = counted
		w.checks.taken = 32000
		lb := makeService("lb", "10.96.0.1", 80, tcp)
		lb.Spec.Type, lb.Spec.ExternalTrafficPolicy, lb.Spec.HealthCheckNodePort = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal, 32000
		w.setService(ctx, lb)
		w.begin(ctx)
		synctest.Wait()
		for i := range 100 {
			w.setSlice(ctx, makeSlice("lb", int32(8000+i), tcp, "10.0.0.1"))
			w.setSlice(ctx, local(makeSlice("lb", int32(8000+i), tcp, fmt.Sprint("10.0.0.", i+1))))
			synctest.Wait()
		}
		counted.count.Store(0)
		time.Sleep(6*checksAgain + time.Second)
		if n := counted.count.Load(); n != 6 {
			t.Errorf("%d looks in the time of six", n)
		}
	})
}

func TestHealthChecksFollowAVIPWithoutALookAtTheKernel(t *testing.T) {
	const own, vip = "172.18.0.2", "203.0.113.9"
	inWorld(t, func(ctx context.Context, w world) {
		w.Node = NodeOptions{NodePorts: NodePortAddresses{CIDRs: anything}}
		lb := makeService("lb", "10.96.0.1", 80, tcp)
		lb.Spec.Type, lb.Spec.ExternalTrafficPolicy, lb.Spec.HealthCheckNodePort = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal, 32000
		lb.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: vip}}
		w.setService(ctx, lb)
		w.begin(ctx)
		synctest.Wait()
		w.v4.takeCalls()
		for _, tc := range []struct {
			addrs []netip.Addr
			want  string
		}{
			{[]netip.Addr{netip.MustParseAddr(own), netip.MustParseAddr(vip)}, "default/lb :32000 [172.18.0.2 203.0.113.9] 0"},
			{[]netip.Addr{netip.MustParseAddr(own)}, "default/lb :32000 [172.18.0.2] 0"},
		} {
			w.localAddresses = func() ([]netip.Addr, error) { return tc.addrs, nil }
			w.refreshAddresses(ctx)
			synctest.Wait()
			expect(t, "health checks", w.checks.serving(), []string{tc.want})
		}
		expect(t, "calls", w.v4.takeCalls(), nil)
	})
}
