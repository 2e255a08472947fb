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
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// learnHolders asks the API server's own record, the IPAddress objects (KEP-1880),
// who has the ClusterIPs that are asked for by value and that the index thinks
// free: one read each, which names the holder although the watch has not told of
// it yet. Where that fails the index is believed, and the server has the last word.
func (a *ServiceAllocation) learnHolders(ctx context.Context, request *allocationRequest) {
	var before []allocator.Holding
	if request.old != nil {
		before = allocator.HoldingsOf(request.old)
	}
	for _, holding := range allocator.HoldingsOf(request.new) {
		if holding.Kind != allocator.ClusterIP || slices.Contains(before, holding) || len(a.Index.Holders(holding.Number)) > 0 {
			continue
		}
		if err := a.learnHolder(ctx, request, holding.Number); err != nil {
			ctrl.LoggerFrom(ctx).V(2).Info("Did not find out who has a ClusterIP", "clusterIP", holding.Number.String(), "reason", err.Error())
		}
	}
}

func (a *ServiceAllocation) learnHolder(ctx context.Context, request *allocationRequest, n allocator.Number) error {
	var address networkingv1.IPAddress
	if err := a.Reader.Get(ctx, client.ObjectKey{Name: n.String()}, &address); err != nil {
		return client.IgnoreNotFound(err)
	}
	parent := address.Spec.ParentRef
	switch {
	case parent == nil:
	case parent.Group == "" && parent.Resource == "services":
		key := types.NamespacedName{Namespace: parent.Namespace, Name: parent.Name}
		if key == client.ObjectKeyFromObject(request.new) {
			return nil
		}
		_, err := a.reread(ctx, key)
		return err
	case parent.Group == v1alpha1.GroupVersion.Group:
		_, err := a.readReservation(ctx, n)
		return client.IgnoreNotFound(err)
	}
	return nil
}

// recorded says that the API server would refuse a ClusterIP that was chosen here,
// because it has a record of it: of a Service that the watch has not told of, or
// of none, as its own repair makes when it crosses with a deletion
// (kubernetes/kubernetes#136475). Where the read fails, the server has the last
// word.
func (a *ServiceAllocation) recorded(ctx context.Context, assignment allocator.Assignment) bool {
	if assignment.Number.IsPort() || assignment.Explicit || assignment.Reserved {
		return false
	}
	var address networkingv1.IPAddress
	return a.Reader.Get(ctx, client.ObjectKey{Name: assignment.Number.String()}, &address) == nil
}
