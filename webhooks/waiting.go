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
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// claimant tells whether a Service counts where an address is in question. It is
// asked from several goroutines.
type claimant func(*corev1.Service) bool

// whoHolds counts the Services that have an address.
func whoHolds(_ context.Context, _ World, addr netip.Addr) (claimant, error) {
	return func(svc *corev1.Service) bool { return heldAddrs(svc)[addr] }, nil
}

// whoHoldsOrWaits counts also those that wait for it and may get it. Who waits for
// what X5 would refuse waits in vain, and would keep the address from everybody: it
// may have asked before there was the pool, or while nobody judged.
func whoHoldsOrWaits(ctx context.Context, world World, addr netip.Addr) (claimant, error) {
	may, err := mayBeGiven(ctx, world, addr)
	if err != nil {
		return nil, err
	}
	return func(svc *corev1.Service) bool { return heldAddrs(svc)[addr] || wantedAddrs(svc)[addr] && may(svc) }, nil
}

// mayBeGiven tells whether pools and reservations let a Service that has no address
// yet have this one of a load balancer. What depends on the address alone is read here.
func mayBeGiven(ctx context.Context, world World, addr netip.Addr) (claimant, error) {
	pools, err := world.Pools(ctx)
	if err != nil {
		return nil, err
	}
	address, err := poolsOver(ctx, world, pools, addr, v1alpha1.UseLoadBalancer)
	if err != nil {
		return nil, err
	}
	return func(svc *corev1.Service) bool {
		stands, _ := address.standingOf(svc, nil, func(pool allocator.AddrPool) bool {
			namespace, err := world.NamespaceLabels(ctx, svc.Namespace)
			return err != nil || pool.Selects(namespace, svc.Labels) // It counts where that is not known.
		})
		return stands == mayHaveIt
	}, nil
}
