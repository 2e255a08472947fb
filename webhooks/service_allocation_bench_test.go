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

package webhooks

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// instant answers at once: what is made is made, and nothing is there.
type instant struct{ client.Client }

func (instant) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	object.SetUID("claim")
	return nil
}

func (instant) Delete(context.Context, client.Object, ...client.DeleteOption) error { return nil }

func (instant) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	return apierrors.NewNotFound(corev1.Resource("services"), key.Name)
}

// BenchmarkServiceAllocation is the webhook's own work for one Service among
// 10,000, of which a fourth have a node port.
func BenchmarkServiceAllocation(b *testing.B) {
	for name, tc := range map[string]struct {
		mode     allocator.Mode
		nodePort int32
	}{
		"advisory":               {allocator.Advisory, 0},
		"advisory-collision":     {allocator.Advisory, 30100},
		"authoritative":          {allocator.Authoritative, 0},
		"authoritative-explicit": {allocator.Authoritative, 32760},
	} {
		b.Run(name, func(b *testing.B) {
			a := crowdedIndex(b, tc.mode)
			request := create(b, withoutAddress(nodePortService("web", tc.nodePort)), "admin")
			b.ReportAllocs()
			for b.Loop() {
				response := a.Handle(b.Context(), request)
				if response.Allowed == (tc.nodePort == 30100) {
					b.Fatalf("%+v", response)
				}
				b.StopTimer()
				a.Index.ExpireClaims(time.Unix(2000, 0), func(types.UID) bool { return false })
				b.StartTimer()
			}
		})
	}
}

func crowdedIndex(b *testing.B, mode allocator.Mode) *ServiceAllocation {
	b.Helper()
	index := allocator.NewServices(allocator.DefaultNodePorts)
	cidrs := []allocator.ServiceCIDR{{Prefix: netip.MustParsePrefix("10.96.0.0/12"), Ready: true}}
	if err := index.SetServiceCIDRs([]corev1.IPFamily{corev1.IPv4Protocol}, cidrs); err != nil {
		b.Fatal(err)
	}
	services := map[types.NamespacedName]*corev1.Service{}
	address := netip.MustParseAddr("10.96.1.1")
	for i := range 10000 {
		service := nodePortService(fmt.Sprint("s", i), 0)
		if i%4 == 0 && i < 10000 {
			service.Spec.Ports[0].NodePort = int32(30086 + i/4)
		}
		service.UID, service.ResourceVersion = types.UID(fmt.Sprint(i)), "1"
		service.Spec.ClusterIP, service.Spec.ClusterIPs = address.String(), []string{address.String()}
		index.Observe(service)
		services[client.ObjectKeyFromObject(service)] = service
		address = address.Next()
	}
	index.SetReady()
	server := there{instant{}, services}
	return &ServiceAllocation{
		Mode: mode, Index: index, Namespace: "system", Client: server, Reader: server, Cached: server,
		Exempt: Exemptions{Namespace: "system"}, Now: func() time.Time { return time.Unix(1000, 0) },
	}
}

// there has Services.
type there struct {
	instant
	services map[types.NamespacedName]*corev1.Service
}

func (s there) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if service, ok := object.(*corev1.Service); ok && s.services[key] != nil {
		s.services[key].DeepCopyInto(service)
		return nil
	}
	return s.instant.Get(ctx, key, object, options...)
}
