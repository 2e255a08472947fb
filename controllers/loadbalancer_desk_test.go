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

package controllers

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"switchyard.dev/switchyard/internal/balancer"
)

func TestALossIsToldOnce(t *testing.T) {
	desk := newBalancerDesk(balancer.Class{Name: "ours"})
	key, addr := types.NamespacedName{Namespace: "shop", Name: "web"}, netip.MustParseAddr("192.0.2.1")
	for _, reason := range []balancer.Reason{balancer.LossPool, balancer.LossPool, balancer.LossMoved} {
		desk.lose(&balancer.Decision{Service: key, Lost: []balancer.Loss{{Addr: addr, Reason: reason}}})
	}
	desk.book = balancer.NewBook()
	for _, step := range []struct {
		status []netip.Addr
		want   int
	}{{[]netip.Addr{addr}, 0}, {nil, 2}, {nil, 0}} {
		if told := desk.told(key, step.status); len(told) != step.want {
			t.Errorf("with %v in the status: told %v", step.status, told)
		}
	}
}

// TestServicesThatAreGoneAreLookedForAtOnce, however many there are.
func TestServicesThatAreGoneAreLookedForAtOnce(t *testing.T) {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "late", UID: "late"}}
	asked, lists := 0, 0
	live := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			asked++
			return nil
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			lists++
			err := c.List(ctx, list, options...)
			if lists == 2 { // after the Services were listed
				err = c.Create(ctx, service)
			}
			return err
		},
	})
	for i := range 50 {
		live = live.WithObjects(balancer.LeaseOf("system", balancer.Claim{Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), Holders: []balancer.Holder{
			{Service: types.NamespacedName{Namespace: "shop", Name: fmt.Sprint("gone-", i)}, UID: types.UID(fmt.Sprint(i))},
			{Service: types.NamespacedName{Namespace: "shop", Name: "late"}, UID: "late"},
		}}))
	}
	r := &LoadBalancerReconciler{Live: live.Build(), Options: LoadBalancerOptions{Namespace: "system"}, desk: newBalancerDesk(balancer.Class{Name: "ours"})}
	services, records, err := r.listed(t.Context())
	if err != nil || len(services) != 1 || len(records) != 50 || asked != 0 || lists != 6 {
		t.Errorf("%d Services, %d claims, %v; %d asked for one by one, %d lists", len(services), len(records), err, asked, lists)
	}
}
