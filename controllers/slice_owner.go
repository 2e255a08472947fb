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
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	endpointsliceutil "k8s.io/endpointslice/util"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
)

// sliceRepairDelay waits before a slice that somebody else changed is repaired,
// so that several changes are repaired together (kube-controller-manager's value).
const sliceRepairDelay = time.Second

// sliceOwner knows which EndpointSlices belong to one controller, and by their
// generations which of them the controller wrote last itself (KEP-0752: the
// tracker also tells when the informer cache lags behind those writes).
type sliceOwner struct {
	// managedBy is the value of the managed-by label.
	managedBy string
	tracker   *endpointsliceutil.EndpointSliceTracker
	// underWay are updates whose answer the tracker has not been told yet.
	underWay *sliceUpdates
}

func newSliceOwner(managedBy string) sliceOwner {
	return sliceOwner{managedBy: managedBy, tracker: endpointsliceutil.NewEndpointSliceTracker(), underWay: newSliceUpdates()}
}

func (o sliceOwner) owns(slice *discoveryv1.EndpointSlice) bool {
	return slice.Labels[discoveryv1.LabelManagedBy] == o.managedBy
}

// indexName is the cache index that finds this controller's slices by Service.
func (o sliceOwner) indexName() string { return "switchyard.dev/" + o.managedBy }

// registerIndex must be called once, before the manager starts.
func (o sliceOwner) registerIndex(ctx context.Context, indexer client.FieldIndexer) error {
	return indexer.IndexField(ctx, &discoveryv1.EndpointSlice{}, o.indexName(), o.indexValues)
}

func (o sliceOwner) indexValues(object client.Object) []string {
	slice := object.(*discoveryv1.EndpointSlice)
	if !o.owns(slice) {
		return nil
	}
	return []string{slice.Labels[discoveryv1.LabelServiceName]}
}

// list reads the controller's slices of one Service, which are not to be
// changed. Those that are already on their way out are left alone: updating them
// would be in vain, and a finalizer may hold them for long.
func (o sliceOwner) list(ctx context.Context, reader client.Reader, service types.NamespacedName) ([]*discoveryv1.EndpointSlice, error) {
	var list discoveryv1.EndpointSliceList
	err := reader.List(ctx, &list, client.InNamespace(service.Namespace), client.MatchingFields{o.indexName(): service.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, err
	}
	slices := make([]*discoveryv1.EndpointSlice, 0, len(list.Items))
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			slices = append(slices, &list.Items[i])
		} else {
			o.tracker.HandleDeletion(&list.Items[i])
		}
	}
	return slices, nil
}

// events queues the Service of a slice that changed by another hand than ours.
// foreign, when set, hears of slices that belong to nobody or somebody else.
func (o sliceOwner) events(delay time.Duration, foreign func(types.NamespacedName) bool) handler.EventHandler {
	add := func(queue requestQueue, slice *discoveryv1.EndpointSlice) {
		if service := serviceOfSlice(slice); service.Name != "" {
			queue.AddAfter(requestFor(service), delay)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue requestQueue) {
			slice := e.Object.(*discoveryv1.EndpointSlice)
			if o.createdByOthers(slice, foreign) {
				add(queue, slice)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue requestQueue) {
			before, after := e.ObjectOld.(*discoveryv1.EndpointSlice), e.ObjectNew.(*discoveryv1.EndpointSlice)
			if !o.changedByOthers(before, after) {
				return
			}
			add(queue, after)
			if o.takenAway(before, after) {
				// Its Service must not wait for it in the cache.
				o.tracker.HandleDeletion(before)
				add(queue, before)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue requestQueue) {
			if slice := e.Object.(*discoveryv1.EndpointSlice); o.deletedByOthers(slice) {
				add(queue, slice)
			}
		},
	}
}

func (o sliceOwner) createdByOthers(slice *discoveryv1.EndpointSlice, foreign func(types.NamespacedName) bool) bool {
	if o.owns(slice) {
		return o.tracker.ShouldSync(slice)
	}
	return foreign != nil && foreign(serviceOfSlice(slice))
}

// changedByOthers looks at owners itself: the tracker sees no more than
// generations, which the API server raises for what a slice holds and for its
// labels alone.
func (o sliceOwner) changedByOthers(before, after *discoveryv1.EndpointSlice) bool {
	if !o.owns(before) && !o.owns(after) {
		return false
	}
	return o.owns(before) != o.owns(after) ||
		o.tracker.ShouldSync(after) && !o.underWay.has(after) ||
		!apiequality.Semantic.DeepEqual(before.OwnerReferences, after.OwnerReferences)
}

// takenAway says that a relabelled slice is no longer ours, or another Service's.
func (o sliceOwner) takenAway(before, after *discoveryv1.EndpointSlice) bool {
	return o.owns(before) && (!o.owns(after) || serviceOfSlice(before) != serviceOfSlice(after))
}

// deletedByOthers takes a slice that was never written since this process
// started as deleted by others; upstream overlooks those.
func (o sliceOwner) deletedByOthers(slice *discoveryv1.EndpointSlice) bool {
	if !o.owns(slice) {
		return false
	}
	o.underWay.ended(slice) // before the tracker hears of it, see sliceWriter.wrote
	tracked := o.tracker.Has(slice)
	expected := o.tracker.HandleDeletion(slice)
	return !tracked || !expected
}

func serviceOfSlice(slice *discoveryv1.EndpointSlice) types.NamespacedName {
	return types.NamespacedName{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}
}
