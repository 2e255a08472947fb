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
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/announce"
	"switchyard.dev/switchyard/internal/dataplane/model"
)

func TestWhatAnAnnouncerLearns(t *testing.T) {
	var told []string
	inWorld(t, func(ctx context.Context, w world) {
		w.Changed = func(names []model.ServicePortName) {
			for _, n := range names {
				told = append(told, n.String())
			}
		}
		svc := makeService("web", "10.96.0.1", 80, corev1.ProtocolTCP)
		vip := netip.MustParseAddr("192.0.2.7")
		svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: vip.String()}}
		svc.UID, svc.Spec.ExternalTrafficPolicy = "1", corev1.ServiceExternalTrafficPolicyLocal
		eps := makeSlice("web", 8080, corev1.ProtocolTCP, "10.0.0.1", "10.0.0.2")
		eps.Endpoints[0].NodeName = new("n1")
		eps.Endpoints[1].NodeName = new("n2")
		w.setService(ctx, svc)
		w.begin(ctx)
		w.setSlice(ctx, eps)
		want := announce.Service{Local: true, Nodes: map[string]struct{}{"n1": {}, "n2": {}}}
		got, ok := w.Balanced("default", "web", "1", vip)
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("it is served: %v (-want +got):\n%s", ok, diff)
		}
		for _, other := range []string{"192.0.2.8", "2001:db8::7"} {
			if _, ok := w.Balanced("default", "web", "1", netip.MustParseAddr(other)); ok {
				t.Errorf("it is served at %s, which it does not have", other)
			}
		}
		if _, ok := w.Balanced("default", "web", "2", vip); ok {
			t.Error("another Service of that name is served")
		}
		w.deleteService(ctx, "default", "web")
		if _, ok := w.Balanced("default", "web", "1", vip); ok {
			t.Error("a Service that is gone is served")
		}
	})
	want := []string{"default/web/TCP", "default/web/TCP", "default/web/TCP"} // at the begin, the slice, the end
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
