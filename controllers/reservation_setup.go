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
	"fmt"
	"time"

	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/placeholder"
)

// Reservations runs on the leader what keeps pools and reservations, and what
// compares ClusterIPs with the IPAddresses that reservations and Services share.
type Reservations struct {
	// Index is fed by an AllocationReconciler of the same manager.
	Index *allocator.Services
	// Namespace is where claims and placeholders are kept: the manager's own.
	Namespace string
	// Recorder is that of the manager when nil.
	Recorder events.EventRecorder
	// Now is the clock, time.Now when nil.
	Now func() time.Time

	// NoWebhook says that our mutating webhook is off. Then no number is held:
	// nobody would hand it over to the Service that it is for.
	NoWebhook bool
	// Exempt tells the Services for which that webhook is not asked; nil is none.
	Exempt func(client.Object) bool
	// RetainLimit is how many numbers of Services that are gone the annotation
	// switchyard.dev/retain keeps in a namespace that does not say; with 0 it has no
	// effect. DefaultRetainLimit when nil.
	RetainLimit *int
}

// SetupWithManager adds the controllers.
func (o *Reservations) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	if o.Index == nil || o.Namespace == "" {
		return fmt.Errorf("setting up the reservation controllers: they need an index and a namespace for placeholders")
	}
	if o.Recorder == nil {
		o.Recorder = mgr.GetEventRecorder("switchyard-reservations")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RetainLimit == nil {
		o.RetainLimit = new(DefaultRetainLimit)
	}
	for _, index := range reservationIndexes {
		if err := mgr.GetFieldIndexer().IndexField(ctx, index.object, index.name, index.keys); err != nil {
			return fmt.Errorf("registering index %s: %w", index.name, err)
		}
	}
	budget := &retainBudget{client: mgr.GetClient(), most: *o.RetainLimit}
	shared := &reservations{
		client: mgr.GetClient(), live: mgr.GetAPIReader(), index: o.Index, recorder: o.Recorder, now: o.Now,
		keeper: &placeholder.Keeper{
			Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Namespace: o.Namespace,
			SpareAddr: spareAddresses{mgr.GetClient(), o.Index}.choose,
		},
		noWebhook: o.NoWebhook, exempt: o.Exempt, budget: budget,
		retries: workqueue.NewTypedItemExponentialFailureRateLimiter[allocator.Number](takenRetry, takenRetryMost),
	}
	addresses := &addressReconciler{client: shared.client, live: shared.live, index: o.Index, recorder: o.Recorder, now: o.Now}
	err := errors.Join(
		addresses.setup(mgr),
		(&portReservationReconciler{shared}).setup(mgr),
		(&addressReservationReconciler{shared}).setup(mgr),
		(&retainReconciler{client: shared.client, recorder: o.Recorder, budget: budget}).setup(mgr),
		(&poolStatuses{client: shared.client, index: o.Index, now: o.Now}).setup(mgr),
	)
	if err != nil {
		return fmt.Errorf("setting up the reservation controllers: %w", err)
	}
	return nil
}
