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
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	discoveryclient "k8s.io/client-go/kubernetes/typed/discovery/v1"
	endpointslicemetrics "k8s.io/endpointslice/metrics"
	"k8s.io/endpointslice/topologycache"
	"k8s.io/endpointslice/trafficdist"
	endpointsliceutil "k8s.io/endpointslice/util"
	ctrl "sigs.k8s.io/controller-runtime"

	"switchyard.dev/switchyard/internal/endpointslices"
)

// sliceWriter carries plans out: it adds the hints, which are the library's, and
// writes. It decides nothing else.
type sliceWriter struct {
	client   discoveryclient.EndpointSlicesGetter
	tracker  *endpointsliceutil.EndpointSliceTracker
	underWay *sliceUpdates
	topology *topologycache.TopologyCache
	metrics  *endpointslicemetrics.Cache
	recorder legacyRecorder
}

// write carries out the plans of one Service, whose slices are existing. The
// families do not stop each other.
func (w *sliceWriter) write(ctx context.Context, service *corev1.Service, existing []*discoveryv1.EndpointSlice,
	plans []endpointslices.Plan, trigger time.Time) (errs []error) {
	defer w.underWay.write(types.NamespacedName{Namespace: service.Namespace, Name: service.Name})()
	var unknown []string
	groups := map[string]endpointslices.Group{}
	for i := range plans {
		plan := &plans[i]
		plan.Count(groups)
		events := w.hint(ctx, service, plan)
		errs = append(errs, w.carryOut(ctx, service, existing, plan, trigger)...)
		for _, event := range events {
			w.recorder.Event(service, event.EventType, event.Reason, event.Message)
		}
		unknown = append(unknown, plan.NodeUnknown...)
	}
	if err := nodesUnknown(unknown); err != nil {
		errs = append(errs, err)
	}
	w.count(service, groups)
	return errs
}

// count keeps the metrics of how many endpoints and slices there are.
func (w *sliceWriter) count(service *corev1.Service, groups map[string]endpointslices.Group) {
	key := types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
	cache := endpointslicemetrics.NewServicePortCache()
	for ports, group := range groups {
		cache.Set(endpointsliceutil.PortMapKey(ports), endpointslicemetrics.EfficiencyInfo{Endpoints: group.Endpoints, Slices: group.Slices})
	}
	w.metrics.UpdateServicePortCache(key, cache)
	var distribution *string
	if distributes(service) {
		distribution = service.Spec.TrafficDistribution
	}
	w.metrics.UpdateTrafficDistributionForService(key, distribution)
}

// forget drops what the metrics count of a Service.
func (w *sliceWriter) forget(service types.NamespacedName) { w.metrics.DeleteService(service) }

// topologyMode tells whether hints are asked for by annotation (KEP-2433); the
// older name of it wins.
func topologyMode(service *corev1.Service) bool {
	value, set := service.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]
	if !set {
		value = service.Annotations[corev1.AnnotationTopologyMode]
	}
	return value == "Auto" || value == "auto"
}

// distributes tells whether trafficDistribution gives the hints (KEP-4444,
// KEP-3015), which it does where the annotation does not.
func distributes(service *corev1.Service) bool {
	distribution := service.Spec.TrafficDistribution
	return distribution != nil && !topologyMode(service) && slices.Contains([]string{
		corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone, corev1.ServiceTrafficDistributionPreferSameNode,
	}, *distribution)
}

// hint adds hints to the plan or takes them away (rows E33, E34). Slices that are
// as they should be otherwise may have to be written for that.
func (w *sliceWriter) hint(ctx context.Context, service *corev1.Service, plan *endpointslices.Plan) (events []*topologycache.EventBuilder) {
	info := &topologycache.SliceInfo{
		ServiceKey:  service.Namespace + "/" + service.Name,
		AddressType: plan.Family,
		ToCreate:    plan.Create, ToUpdate: plan.Update, Unchanged: plan.Unchanged,
	}
	switch {
	case len(plan.Create)+len(plan.Update)+len(plan.Unchanged) == 0: // a family that the Service has no more
		w.topology.RemoveHints(info.ServiceKey, plan.Family)
		return nil
	case topologyMode(service):
		plan.Create, plan.Update, events = w.topology.AddHints(ctrl.LoggerFrom(ctx), info)
		return events
	case w.topology.HasPopulatedHints(info.ServiceKey):
		events = append(events, &topologycache.EventBuilder{
			EventType: corev1.EventTypeWarning, Reason: "TopologyAwareHintsDisabled",
			Message: topologycache.FormatWithAddressType(topologycache.TopologyAwareHintsDisabled, plan.Family),
		})
	}
	w.topology.RemoveHints(info.ServiceKey, plan.Family)
	if distributes(service) {
		plan.Create, plan.Update, _ = trafficdist.ReconcileHints(service.Spec.TrafficDistribution, plan.Create, plan.Update, plan.Unchanged)
	} else {
		plan.Create, plan.Update = topologycache.RemoveHintsFromSlices(info)
	}
	return events
}

// carryOut creates before it updates and deletes last, so that no endpoint is
// missing in between. A write that fails stops those that take out what it was to
// bring in, and no other: a Service that may have no more slices still loses its
// dead endpoints. Afterwards all is planned anew.
func (w *sliceWriter) carryOut(ctx context.Context, service *corev1.Service, existing []*discoveryv1.EndpointSlice,
	plan *endpointslices.Plan, trigger time.Time) (errs []error) {
	client, failed := w.client.EndpointSlices(service.Namespace), homeless{}
	// The garbage collector deletes while we would create.
	if service.DeletionTimestamp == nil {
		for _, slice := range plan.Create {
			setSliceTrigger(slice, trigger)
			created, err := client.Create(ctx, slice, metav1.CreateOptions{})
			switch {
			case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
				// It would fail for as long as there is the namespace. What is to be
				// taken out of the slices there are is still taken out.
			case err != nil:
				errs = append(errs, fmt.Errorf("creating an EndpointSlice: %w", err))
				failed.add(slice)
			default:
				w.wrote(created, "create")
			}
		}
	}
	for _, slice := range plan.Update {
		if failed.leave(named(existing, slice.Name), slice) {
			failed.add(slice)
			continue
		}
		setSliceTrigger(slice, trigger)
		if err := w.update(ctx, client, slice); err != nil {
			errs = append(errs, err)
			failed.add(slice)
		}
	}
	for _, slice := range plan.Delete {
		if failed.leave(slice, nil) {
			continue
		}
		if err := client.Delete(ctx, slice.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("deleting EndpointSlice %s: %w", slice.Name, err))
			continue
		}
		w.tracker.ExpectDeletion(slice)
		endpointslicemetrics.EndpointSliceChanges.WithLabelValues("delete").Inc()
	}
	if len(errs) == 0 {
		observe(service, plan)
	}
	return errs
}

func named(existing []*discoveryv1.EndpointSlice, name string) *discoveryv1.EndpointSlice {
	for _, slice := range existing {
		if slice.Name == name {
			return slice
		}
	}
	return nil
}

func (w *sliceWriter) update(ctx context.Context, client discoveryclient.EndpointSliceInterface, slice *discoveryv1.EndpointSlice) error {
	defer w.underWay.begin(slice)()
	updated, err := client.Update(ctx, slice, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("updating EndpointSlice %s: %w", slice.Name, err)
	}
	w.wrote(updated, "update")
	return nil
}

func (w *sliceWriter) wrote(slice *discoveryv1.EndpointSlice, operation string) {
	w.underWay.wrote(slice, w.tracker)
	endpointslicemetrics.EndpointSliceChanges.WithLabelValues(operation).Inc()
}

// observe is for the metrics of one sync (row E37).
func observe(service *corev1.Service, plan *endpointslices.Plan) {
	endpointslicemetrics.EndpointsAddedPerSync.WithLabelValues().Observe(float64(plan.Added))
	endpointslicemetrics.EndpointsRemovedPerSync.WithLabelValues().Observe(float64(plan.Removed))
	mode, distribution := "Disabled", ""
	if topologyMode(service) {
		mode = "Auto"
	}
	if distributes(service) {
		distribution = *service.Spec.TrafficDistribution
	}
	writes := len(plan.Create) + len(plan.Update) + len(plan.Delete)
	endpointslicemetrics.EndpointSlicesChangedPerSync.WithLabelValues(mode, distribution).Observe(float64(writes))
}

func setSliceTrigger(slice *discoveryv1.EndpointSlice, trigger time.Time) {
	if trigger.IsZero() {
		delete(slice.Annotations, corev1.EndpointsLastChangeTriggerTime)
		return
	}
	if slice.Annotations == nil {
		slice.Annotations = map[string]string{}
	}
	slice.Annotations[corev1.EndpointsLastChangeTriggerTime] = trigger.UTC().Format(time.RFC3339Nano)
}
