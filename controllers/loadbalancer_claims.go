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
	"encoding/json"
	"fmt"
	"net/netip"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/balancer"
)

// writeClaim makes the Lease of an address say who has it. The spec is for those
// who announce the address; nothing here writes it.
func (r *LoadBalancerReconciler) writeClaim(ctx context.Context, addr netip.Addr) error {
	for {
		r.mu.Lock()
		step := r.desk.ledger.NextClaim(addr)
		r.mu.Unlock()
		switch step.Write {
		case balancer.ClaimIsRight:
			return nil
		case balancer.ClaimRead:
			if err := r.readClaim(ctx, step); err != nil {
				return err
			}
			continue
		}
		version, err := r.makeClaim(ctx, step)
		loadBalancerWrites.WithLabelValues("claim", resultOf(err)).Inc()
		r.mu.Lock()
		switch {
		case err == nil:
			before := r.desk.ledger.Holders(addr)
			r.desk.ledger.WroteClaim(step, version)
			if step.Write != balancer.ClaimLabel { // it says now who has the address
				r.desk.setUses(usesOfLease(balancer.LeaseOf("", step.Claim).Name), nil)
			}
			r.enqueueHolders(before)
			r.enqueueHolders(step.Holders)
			r.enqueueHolders(step.Leaving)
			r.enqueue(r.desk.settle())
		case apierrors.IsConflict(err), apierrors.IsNotFound(err), apierrors.IsAlreadyExists(err):
			r.desk.ledger.DoubtClaim(addr, nil)
		default:
			r.desk.ledger.DoubtClaim(addr, append([]balancer.Holder{}, step.Holders...))
		}
		r.mu.Unlock()
		if err != nil && resultOf(err) == "failed" {
			return err
		}
	}
}

func (r *LoadBalancerReconciler) enqueueHolders(holders []balancer.Holder) {
	for _, holder := range holders {
		r.queue.Add(balancerRequest{Service: holder.Service})
	}
}

// makeClaim makes a step, of the version of the Lease for which it was meant.
func (r *LoadBalancerReconciler) makeClaim(ctx context.Context, step balancer.ClaimStep) (version string, err error) {
	lease := balancer.LeaseOf(r.Options.Namespace, step.Claim)
	switch step.Write {
	case balancer.ClaimCreate:
		err = r.Client.Create(ctx, lease)
	case balancer.ClaimDelete:
		lease.ResourceVersion = step.Version
		err = client.IgnoreNotFound(r.Client.Delete(ctx, lease, client.Preconditions{ResourceVersion: &step.Version}))
	default:
		metadata := map[string]any{"resourceVersion": step.Version, "labels": lease.Labels}
		if step.Write == balancer.ClaimChange {
			annotations := map[string]any{balancer.LeavingAnnotation: nil}
			for key, text := range lease.Annotations {
				annotations[key] = text
			}
			metadata["annotations"] = annotations
		}
		var patch []byte
		if patch, err = json.Marshal(map[string]any{"metadata": metadata}); err == nil {
			err = r.Client.Patch(ctx, lease, client.RawPatch(types.MergePatchType, patch))
		}
	}
	if err != nil {
		return "", fmt.Errorf("writing the claim of %s: %w", step.Addr, err)
	}
	return lease.ResourceVersion, nil
}

// readClaim takes in what the API server has of a claim. If somebody else has
// changed who holds the address, all is decided anew from what is written.
func (r *LoadBalancerReconciler) readClaim(ctx context.Context, step balancer.ClaimStep) error {
	name := balancer.LeaseOf(r.Options.Namespace, step.Claim).Name
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: r.Options.Namespace, Name: name}}
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(lease), lease)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the claim of %s: %w", step.Addr, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	record := balancer.Record{}
	if err == nil {
		_, record = r.recordOf(lease)
	} else {
		r.desk.setUses(usesOfLease(name), nil)
	}
	if r.desk.ledger.SawClaim(step, record) && !r.desk.reloading {
		r.desk.reloading = true
		r.queue.AddAfter(balancerRequest{Duty: reload}, r.desk.reloads.next(r.Now()))
	}
	r.enqueueHolders(record.Holders)
	r.enqueueHolders(record.Leaving)
	r.enqueue(r.desk.settle())
	return nil
}

// resultOf is what the metric calls the end of a write: a conflict is looked at
// again at once, a failure is tried again later.
func resultOf(err error) string {
	switch {
	case err == nil:
		return "written"
	case apierrors.IsConflict(err), apierrors.IsNotFound(err), apierrors.IsAlreadyExists(err):
		return "conflict"
	}
	return "failed"
}
