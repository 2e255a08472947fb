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
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	endpointslicemetrics "k8s.io/endpointslice/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// registerSliceMetrics publishes the library's metrics, under the names that
// dashboards know from kube-controller-manager. The library registers them with
// Kubernetes' own registry, which brings them to life but nobody serves here.
var registerSliceMetrics = sync.OnceFunc(func() {
	endpointslicemetrics.RegisterMetrics()
	metrics.Registry.MustRegister(
		endpointslicemetrics.EndpointsAddedPerSync.HistogramVec,
		endpointslicemetrics.EndpointsRemovedPerSync.HistogramVec,
		endpointslicemetrics.EndpointsDesired.GaugeVec,
		endpointslicemetrics.NumEndpointSlices.GaugeVec,
		endpointslicemetrics.DesiredEndpointSlices.GaugeVec,
		endpointslicemetrics.EndpointSliceChanges.CounterVec,
		endpointslicemetrics.EndpointSlicesChangedPerSync.HistogramVec,
		endpointslicemetrics.EndpointSliceSyncs.CounterVec,
		endpointslicemetrics.ServicesCountByTrafficDistribution.GaugeVec,
		slicePlans,
	)
})

// What slices are planned for: all pods of a Service, or those that have changed.
const (
	planOfService = "service"
	planOfPods    = "pods"
)

var slicePlans = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "switchyard_endpoints_slice_plans_total",
	Help: "Plans of the EndpointSlices of a Service, for all of its pods or for those that have changed.",
}, []string{"of"})

const mirroringSubsystem = "endpoint_slice_mirroring_controller"

var (
	mirroredChanges = prometheus.NewCounterVec(prometheus.CounterOpts{
		Subsystem: mirroringSubsystem, Name: "changes", Help: "Number of EndpointSlice changes",
	}, []string{"operation"})
	mirroredSkipped = prometheus.NewHistogram(prometheus.HistogramOpts{
		Subsystem: mirroringSubsystem, Name: "addresses_skipped_per_sync",
		Help:    "Number of addresses skipped on each Endpoints sync due to being invalid or exceeding MaxEndpointsPerSubset",
		Buckets: prometheus.ExponentialBuckets(2, 2, 15),
	})
)

var registerMirroringMetrics = sync.OnceFunc(func() {
	metrics.Registry.MustRegister(mirroredChanges, mirroredSkipped)
})
