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
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

func TestOnlyTheServicesOfTheProxyAreAskedFor(t *testing.T) {
	for proxy, want := range map[string]string{
		"":       "!service.kubernetes.io/service-proxy-name",
		"switch": "service.kubernetes.io/service-proxy-name=switch",
	} {
		t.Run(proxy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var mu sync.Mutex
				var lists, watches []string
				client := fake.NewClientset()
				client.PrependReactor("list", "services", func(action clienttesting.Action) (bool, runtime.Object, error) {
					mu.Lock()
					defer mu.Unlock()
					lists = append(lists, action.(clienttesting.ListAction).GetListRestrictions().Labels.String())
					return false, nil, nil
				})
				client.PrependWatchReactor("services", func(action clienttesting.Action) (bool, watch.Interface, error) {
					mu.Lock()
					defer mu.Unlock()
					watches = append(watches, action.(clienttesting.WatchAction).GetWatchRestrictions().Labels.String())
					return false, nil, nil
				})
				w := newWorld()
				w.Client, w.Store = client, model.Options{ProxyName: proxy}
				if !w.watch(ctx) {
					t.Fatal("the lists were not read")
				}
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				expect(t, "selectors of the lists", slices.Compact(lists), []string{want})
				expect(t, "selectors of the watches", slices.Compact(watches), []string{want})
			})
		})
	}
}

func TestExternalIPsCanBeLeftOut(t *testing.T) {
	for without, want := range map[bool][]string{false: {"203.0.113.9"}, true: nil} {
		inWorld(t, func(ctx context.Context, w world) {
			w.WithoutExternalIPs = without
			svc := makeService("web", "10.96.0.1", 80, tcp)
			svc.Spec.ExternalIPs = []string{"203.0.113.9"}
			svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
			w.setService(ctx, svc)
			w.begin(ctx)
			synctest.Wait()
			w.v4.mu.Lock()
			defer w.v4.mu.Unlock()
			held := w.v4.held[model.ServicePortName{Namespace: "default", Name: "web", Protocol: model.TCP}]
			expect(t, "external IPs", texts(held.ExternalIPs), want)
			expect(t, "load balancer IPs", texts(held.LoadBalancerIPs), []string{"192.0.2.1"})
		})
	}
}

func texts(addrs []netip.Addr) (list []string) {
	for _, addr := range addrs {
		list = append(list, addr.String())
	}
	return list
}
