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
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"switchyard.dev/switchyard/internal/version"
)

// EndpointsOptions tune the endpoint controllers; the zero value of each field
// stands for kube-controller-manager's default.
type EndpointsOptions struct {
	// Workers is how many Services each controller works on at a time, 1 to 50; 5.
	Workers int
	// MaxEndpointsPerSlice is 1 to 1000; 100.
	MaxEndpointsPerSlice int32
	// MaxEndpointsPerSubset is how many addresses of a custom Endpoints subset are
	// mirrored, 1 to 1000; 1000.
	MaxEndpointsPerSubset int
	// BatchPeriod delays what a pod event causes, so that a burst of them becomes
	// one write; not negative; 0.
	BatchPeriod time.Duration
	// NodeQuarantine is how long after a node's deletion its endpoints are looked
	// for; 40 s, after which kube-controller-manager's pod garbage collector
	// (pkg/controller/podgc, quarantineTime) takes the pods for orphans.
	NodeQuarantine time.Duration
}

// Default fills what is not set.
func (o *EndpointsOptions) Default() {
	if o.Workers == 0 {
		o.Workers = 5
	}
	if o.MaxEndpointsPerSlice == 0 {
		o.MaxEndpointsPerSlice = 100
	}
	if o.MaxEndpointsPerSubset == 0 {
		o.MaxEndpointsPerSubset = 1000
	}
	if o.NodeQuarantine == 0 {
		o.NodeQuarantine = 40 * time.Second
	}
}

// Validate names every field that is out of its range.
func (o *EndpointsOptions) Validate() error {
	return errors.Join(
		inRange("workers", o.Workers, 1, 50),
		inRange("max endpoints per slice", int(o.MaxEndpointsPerSlice), 1, 1000),
		inRange("max endpoints per subset", o.MaxEndpointsPerSubset, 1, 1000),
		inRange("batch period", int(o.BatchPeriod), 0, int(time.Hour)),
		inRange("node quarantine", int(o.NodeQuarantine), 0, int(time.Hour)),
	)
}

func inRange(name string, value, lowest, highest int) error {
	if value < lowest || value > highest {
		return fmt.Errorf("%s: %d is not between %d and %d", name, value, lowest, highest)
	}
	return nil
}

// retryLimit is the longest that a Service waits to be tried again. It is what a
// Service may lag behind when an API server comes back from a long outage:
// nothing else queues what has failed before.
const retryLimit = 30 * time.Second

// controller spaces retries per Service from a tenth of a second, since most are
// write conflicts, to retryLimit, and all of them to ten a second.
func (o *EndpointsOptions) controller() controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: o.Workers,
		RateLimiter: workqueue.NewTypedMaxOfRateLimiter(
			workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](100*time.Millisecond, retryLimit),
			&workqueue.TypedBucketRateLimiter[reconcile.Request]{Limiter: rate.NewLimiter(10, 100)},
		),
	}
}

// SetupEndpoints adds to the manager the controllers that the mode asks for.
// They start with the leader, once nobody else is found to write the same objects.
// Until then the manager is not ready, unless it has been before.
func SetupEndpoints(mgr ctrl.Manager, mode EndpointsMode, options EndpointsOptions) error {
	options.Default()
	if err := options.Validate(); err != nil {
		return fmt.Errorf("endpoint controllers: %w", err)
	}
	if mode == EndpointsOff {
		return nil
	}
	guard := NewWriterGuard(mgr.GetAPIReader(), mode)
	errs := []error{mgr.Add(guard), mgr.Add(leaderLook{guard}), mgr.AddReadyzCheck("endpoints", guard.ReadyCheck)}
	mgr = guardedManager{mgr, guard}
	mirroring := &EndpointSliceMirroringReconciler{Options: options}
	if mode == EndpointsAll {
		mirroring.Live = mgr.GetAPIReader()
		errs = append(errs,
			(&EndpointSliceReconciler{Options: options}).SetupWithManager(mgr),
			(&EndpointsReconciler{Options: options}).SetupWithManager(mgr))
	}
	errs = append(errs, mirroring.SetupWithManager(mgr))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("setting up --endpoints=%s: %w", mode, err)
	}
	return nil
}

// configFor is the manager's configuration with a user agent of our own. The API
// server takes a field manager from it where a request names none.
func configFor(base *rest.Config, fieldManager string) *rest.Config {
	config := rest.CopyConfig(base)
	config.UserAgent = fieldManager + "/" + version.String()
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return config
}
