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
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	endpointslicemetrics "k8s.io/endpointslice/metrics"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// A cluster in which creations or updates fail as they rarely do.
func failingCluster(createErr, updateErr error, objects ...client.Object) client.Client {
	mirror := newSliceOwner(EndpointSliceMirroringControllerName)
	return fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objects...).
		WithIndex(&discoveryv1.EndpointSlice{}, mirror.indexName(), mirror.indexValues).
		WithInterceptorFuncs(interceptor.Funcs{
			Create: func(ctx context.Context, inner client.WithWatch, object client.Object, options ...client.CreateOption) error {
				if createErr != nil {
					return createErr
				}
				return inner.Create(ctx, object, options...)
			},
			Update: func(ctx context.Context, inner client.WithWatch, object client.Object, options ...client.UpdateOption) error {
				if updateErr != nil {
					return updateErr
				}
				return inner.Update(ctx, object, options...)
			},
		}).Build()
}

func namespaceTerminating() error {
	err := apierrors.NewForbidden(schema.GroupResource{Resource: "endpoints"}, "web", errors.New("namespace is being terminated"))
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	return err
}

func TestEndpointsWritesThatFail(t *testing.T) {
	resource := schema.GroupResource{Resource: "endpoints"}
	existing := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
	denied := apierrors.NewForbidden(resource, "web", errors.New("by policy"))
	cases := map[string]struct {
		createErr, updateErr error
		existing             []client.Object
		wantRetry            bool
		wantEvent            string
	}{
		"a namespace on its way out is no error":        {createErr: namespaceTerminating()},
		"another refusal is, and is told to the user":   {createErr: denied, wantEvent: "FailedToCreateEndpoint"},
		"a refused update is, and is told to the user":  {updateErr: denied, existing: []client.Object{existing}, wantEvent: "FailedToUpdateEndpoint"},
		"a conflict means to read again":                {updateErr: apierrors.NewConflict(resource, "web", nil), existing: []client.Object{existing}, wantRetry: true},
		"a cache that has missed a creation catches up": {createErr: apierrors.NewAlreadyExists(resource, "web"), wantRetry: true},
	}
	for title, tc := range cases {
		t.Run(title, func(t *testing.T) {
			recorder := events.NewFakeRecorder(10)
			service := testService(intstr.FromInt32(80))
			reconciler := &EndpointsReconciler{
				Client:   failingCluster(tc.createErr, tc.updateErr, append(tc.existing, service)...),
				services: servicesOf(service), pods: podsByLabelOnly(t), dirty: newDirtyPods(), triggers: newTriggerTimes(),
				ledgers: newEndpointsLedgers(), writes: newWriteTracker(), recorder: legacyRecorder{recorder},
			}
			result, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(service)})
			if retry := result.RequeueAfter > 0; retry != tc.wantRetry {
				t.Errorf("retry %t, want %t", retry, tc.wantRetry)
			}
			if failed := err != nil; failed != (tc.wantEvent != "") {
				t.Errorf("error %v", err)
			}
			if event := lastEvent(recorder); !strings.Contains(event, tc.wantEvent) || tc.wantEvent == "" && event != "" {
				t.Errorf("event %q, want %q", event, tc.wantEvent)
			}
		})
	}
}

// podsByLabelOnly finds pods by label and not by namespace, which takes a look at
// every pod in it.
func podsByLabelOnly(t *testing.T, pods ...*corev1.Pod) podIndex {
	t.Helper()
	indexer := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{podsByLabel: labelsOfPod})
	for _, pod := range pods {
		if err := indexer.Add(pod); err != nil {
			t.Fatal(err)
		}
	}
	return podIndex{indexer}
}

// servicesOf is an index of one.
func servicesOf(service *corev1.Service) *selectorIndex {
	index := newSelectorIndex()
	index.Set(client.ObjectKeyFromObject(service), service.Spec.Selector)
	return index
}

func lastEvent(recorder *events.FakeRecorder) string {
	select {
	case event := <-recorder.Events:
		return event
	default:
		return ""
	}
}

func TestMirroringWritesThatFail(t *testing.T) {
	service := testService(intstr.FromInt32(80), func(s *corev1.Service) { s.Name, s.Spec.Selector = "db", nil })
	cases := map[string]struct {
		createErr error
		wantErr   bool
	}{
		"a namespace on its way out is no error": {createErr: namespaceTerminating()},
		"anything else is tried again":           {createErr: errors.New("no quorum"), wantErr: true},
	}
	for title, tc := range cases {
		t.Run(title, func(t *testing.T) {
			reconciler := &EndpointSliceMirroringReconciler{
				Client: failingCluster(tc.createErr, nil, service, handMade(80, "10.0.0.1", "fd00::1")),
				owner:  newSliceOwner(EndpointSliceMirroringControllerName), recorder: legacyRecorder{events.NewFakeRecorder(10)},
				lag: newCacheLag(time.Now),
			}
			reconciler.Options.Default()
			_, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(service)})
			if (err != nil) != tc.wantErr {
				t.Errorf("error %v", err)
			}
			if tc.wantErr && strings.Count(err.Error(), "no quorum") != 2 {
				t.Errorf("one failed slice kept the other from being tried: %v", err)
			}
		})
	}
}

func TestMirroringTellsTheUserWhatItLeavesOut(t *testing.T) {
	service := testService(intstr.FromInt32(80), func(s *corev1.Service) { s.Name, s.Spec.Selector = "db", nil })
	for address, reason := range map[string]string{"nonsense": "InvalidIPAddress", "10.0.0.2": "TooManyAddressesToMirror"} {
		recorder := events.NewFakeRecorder(10)
		reconciler := &EndpointSliceMirroringReconciler{
			Client: failingCluster(nil, nil, service, handMade(80, "10.0.0.1", address)), Options: EndpointsOptions{MaxEndpointsPerSubset: 1},
			owner: newSliceOwner(EndpointSliceMirroringControllerName), recorder: legacyRecorder{recorder}, lag: newCacheLag(time.Now),
		}
		if address == "nonsense" {
			reconciler.Options.MaxEndpointsPerSubset = 2
		}
		if _, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(service)}); err != nil {
			t.Fatal(err)
		}
		if event := lastEvent(recorder); !strings.Contains(event, reason) {
			t.Errorf("event %q, want %s", event, reason)
		}
	}
}

func TestSliceMetricsKeepTheirUpstreamNames(t *testing.T) {
	registerSliceMetrics()
	registerMirroringMetrics()
	mirroredChanges.WithLabelValues("create")
	slicePlans.WithLabelValues(planOfPods)
	// A vector without children publishes nothing.
	endpointslicemetrics.EndpointsAddedPerSync.WithLabelValues()
	endpointslicemetrics.EndpointsRemovedPerSync.WithLabelValues()
	endpointslicemetrics.EndpointsDesired.WithLabelValues()
	endpointslicemetrics.NumEndpointSlices.WithLabelValues()
	endpointslicemetrics.DesiredEndpointSlices.WithLabelValues()
	endpointslicemetrics.EndpointSliceChanges.WithLabelValues("create")
	endpointslicemetrics.EndpointSlicesChangedPerSync.WithLabelValues("Disabled", "")
	endpointslicemetrics.EndpointSliceSyncs.WithLabelValues("success")
	endpointslicemetrics.ServicesCountByTrafficDistribution.WithLabelValues("PreferSameZone")
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	published := map[string]bool{}
	for _, family := range families {
		published[family.GetName()] = true
	}
	for _, name := range []string{
		"endpoint_slice_controller_endpoints_added_per_sync", "endpoint_slice_controller_endpoints_removed_per_sync",
		"endpoint_slice_controller_endpoints_desired", "endpoint_slice_controller_num_endpoint_slices",
		"endpoint_slice_controller_desired_endpoint_slices", "endpoint_slice_controller_changes",
		"endpoint_slice_controller_endpointslices_changed_per_sync", "endpoint_slice_controller_syncs",
		"endpoint_slice_controller_services_count_by_traffic_distribution",
		"switchyard_endpoints_slice_plans_total", "endpoint_slice_mirroring_controller_changes", "endpoint_slice_mirroring_controller_addresses_skipped_per_sync",
	} {
		if !published[name] {
			t.Errorf("%s is not published", name)
		}
	}
}
