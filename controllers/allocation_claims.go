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
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/placeholder"
)

// boundClaimLifetime is how long the claim of a number is kept although a Service
// holds it: a replica whose watch lags would otherwise see the claim go before it
// sees the Service come, and offer the number again.
const boundClaimLifetime = 10 * time.Second

// claimCollectors is how many claims are looked at at a time. Each may take a
// request or two, and every request of a client that is judged with claims leaves
// some: one after the other, they would pile up where the API server is slow.
const claimCollectors = 4

// claimCollector deletes claims that have done their work.
type claimCollector struct {
	index  *allocator.Services
	reader client.Reader
	writer client.Client
	now    func() time.Time
	// namespace is where claims are, and where the API server is asked about ports.
	namespace string
}

// Reconcile deletes one claim, or comes back when it is old enough.
func (c *claimCollector) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if !c.index.Ready() {
		return ctrl.Result{RequeueAfter: time.Second}, nil
	}
	var lease coordinationv1.Lease
	if err := c.reader.Get(ctx, request.NamespacedName, &lease); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	claim, err := allocator.ClaimOfLease(&lease)
	if err != nil {
		return ctrl.Result{}, reconcile.TerminalError(err)
	}
	if known, ok := c.index.ClaimOf(claim.Number); ok && known.UID == claim.UID {
		claim = known // which has its age by our own clock
	}
	if wait := claim.Created.Add(c.lifetime(claim)).Sub(c.now()); wait > 0 {
		// Look again soon: a Service may come to hold the number meanwhile, or go.
		return ctrl.Result{RequeueAfter: min(wait, boundClaimLifetime)}, nil
	}
	if c.isLeaked(ctx, claim) {
		return ctrl.Result{RequeueAfter: allocator.ClaimLifetime}, nil
	}
	err = c.writer.Delete(ctx, &lease, client.Preconditions{UID: &lease.UID})
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("collecting claim %s: %w", request.NamespacedName, err)
	}
	if len(c.index.Holders(claim.Number)) == 0 {
		allocationLeaks.WithLabelValues("claim").Inc()
	}
	return ctrl.Result{}, nil
}

// lifetime is 0 for a claim whose Service was seen to hold the number and does not
// hold it any more: a replica that hears of the end of the claim first takes the
// number for free, and so it is.
func (c *claimCollector) lifetime(claim allocator.Claim) time.Duration {
	switch {
	case len(c.index.Holders(claim.Number)) > 0:
		return boundClaimLifetime
	case c.index.Ended(claim.Number, claim.UID):
		return 0
	}
	return allocator.ClaimLifetime
}

// isLeaked says that the API server does not give a port although nobody has it.
// That may be why the claim came to nothing, and it lasts until the server's own
// repair some minutes later: as long as the claim stays, nobody is offered the
// port. Of a reserved one it is a placeholder that has it.
func (c *claimCollector) isLeaked(ctx context.Context, claim allocator.Claim) bool {
	_, reserved := c.index.ReservationOf(claim.Number)
	if !claim.Number.IsPort() || reserved || len(c.index.Holders(claim.Number)) > 0 {
		return false
	}
	taken, err := placeholder.FirstTaken(ctx, c.writer, c.namespace, claim.Number.Port)
	if err != nil {
		// It may be that the server has another range, and no such port at all.
		ctrl.LoggerFrom(ctx).V(2).Info("Did not find out whether a port is free", "reason", err.Error())
		return false
	}
	if taken == 0 {
		return false
	}
	allocationLeaks.WithLabelValues("server").Inc()
	return true
}
