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
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/allocator"
)

var serviceDecoder = serializer.NewCodecFactory(clientgoscheme.Scheme).UniversalDeserializer()

// decide plans until a plan stands: a refusal that a read past the cache does
// not confirm, and a claim that another replica has made, start over.
func (a *ServiceAllocation) decide(ctx context.Context, request *allocationRequest) (admission.Response, error) {
	if err := a.readNamespace(ctx, request, a.Cached); err != nil {
		return admission.Response{}, err
	}
	a.applyPoolDefaults(request)
	a.learnHolders(ctx, request)
	for range allocationAttempts {
		plan := a.Index.Plan(allocator.PlanRequest{
			Old: request.old, New: request.new, Mode: a.Mode, DryRun: request.dryRun, Now: a.Now(), NamespaceLabels: request.namespace,
			Avoid: request.avoid, Crowded: request.crowded,
		})
		response, done, err := a.carryOut(ctx, request, plan)
		if err != nil || done {
			return response, err
		}
	}
	return admission.Response{}, fmt.Errorf("no number could be claimed in %d attempts", allocationAttempts)
}

func (a *ServiceAllocation) carryOut(ctx context.Context, request *allocationRequest, plan allocator.Plan) (admission.Response, bool, error) {
	switch {
	case plan.Exists:
		return a.answerExisting(ctx, request, plan)
	case len(plan.Refusals) > 0:
		stale, err := a.refresh(ctx, request, plan.Refusals)
		if err != nil || stale {
			return admission.Response{}, false, err
		}
		return a.deny(ctx, request, plan.Refusals), true, nil
	case !request.dryRun && len(plan.Assignments)+len(plan.Spares) > 0 && !handsOver(plan) && request.isInvalid():
		a.withoutClaims(request, plan)
	case len(plan.Spares) > 0:
		return admission.Response{}, false, a.makeRoom(ctx, request, plan)
	case request.dryRun:
		plan, request.hidden = hideFromDryRun(plan, a.Index.Stats())
	default:
		lost, err := a.claim(ctx, request, plan)
		if err != nil || lost {
			return admission.Response{}, false, err
		}
	}
	response, err := assign(request, plan)
	return response, true, err
}

// answerExisting leaves the create of what exists to the server, which answers
// AlreadyExists, unless it would first stumble over a number that is held, by
// that very Service or another, and report that instead (A22).
func (a *ServiceAllocation) answerExisting(ctx context.Context, request *allocationRequest, plan allocator.Plan) (admission.Response, bool, error) {
	existing, err := a.reread(ctx, client.ObjectKeyFromObject(request.new))
	if err != nil || existing == nil {
		return admission.Response{}, false, err
	}
	if !plan.Collides {
		countAllocation(outcomeUntouched)
		return admission.Allowed(""), true, nil
	}
	countAllocation(outcomeDenied)
	return denied(alreadyExists(existing)), true, nil
}

// alreadyExists is what the API server says, also while the Service is still
// being deleted: then waiting helps.
func alreadyExists(service *corev1.Service) *apierrors.StatusError {
	err := apierrors.NewAlreadyExists(corev1.Resource("services"), service.Name)
	if service.DeletionTimestamp != nil {
		err.ErrStatus.Message = "object is being deleted: " + err.ErrStatus.Message
	}
	return err
}

// refresh reads past the cache what a refusal rests on, and reports whether the
// index was wrong: a Service deleted and created again must not be denied its
// own number, nor an address in a ServiceCIDR or pool made a moment ago.
func (a *ServiceAllocation) refresh(ctx context.Context, request *allocationRequest, refusals []allocator.Refusal) (stale bool, err error) {
	for _, refusal := range refusals {
		switch {
		case len(refusal.Holders) > 0:
			stale, err = a.lostHolder(ctx, refusal)
		case refusal.Reserved != nil:
			stale, err = a.lostReservation(ctx, request, refusal.Number)
		case !request.poolsConfirmed && refusal.Range == "":
			stale, err = true, a.confirmPools(ctx, request)
		case refusal.Field.Kind == allocator.ClusterIP:
			stale, err = a.newServiceCIDR(ctx)
		}
		if err != nil || stale {
			return stale, err
		}
	}
	return false, nil
}

func (a *ServiceAllocation) lostHolder(ctx context.Context, refusal allocator.Refusal) (bool, error) {
	holder := refusal.Holders[0].Service
	if _, err := a.reread(ctx, holder); err != nil {
		return false, err
	}
	for _, now := range a.Index.Holders(refusal.Number) {
		if now.Service == holder {
			return false, nil
		}
	}
	return true, nil
}

// reread makes the index agree with what the API server says of one Service,
// which is nil if there is none.
func (a *ServiceAllocation) reread(ctx context.Context, key types.NamespacedName) (*corev1.Service, error) {
	before := a.Index.Glimpse(key)
	var service corev1.Service
	switch err := a.Reader.Get(ctx, key, &service); {
	case apierrors.IsNotFound(err):
		a.Index.ForgetSeen(key, before)
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("confirming that Service %s exists: %w", key, err)
	}
	a.Index.ObserveRead(&service, before)
	return &service, nil
}

func (a *ServiceAllocation) newServiceCIDR(ctx context.Context) (bool, error) {
	var cidrs networkingv1.ServiceCIDRList
	if err := a.Reader.List(ctx, &cidrs); err != nil {
		return false, fmt.Errorf("confirming the service CIDRs: %w", err)
	}
	before := a.Index.Stats()
	if err := a.Index.ObserveServiceCIDRs(cidrs.Items); err != nil {
		// One that is left out gives nobody an address, here or in the server.
		ctrl.LoggerFrom(ctx).V(2).Info("Left out a range of ClusterIPs", "reason", err.Error())
	}
	sameRange := func(a, b allocator.RangeStats) bool { return a.Range == b.Range && a.Open == b.Open }
	return !slices.EqualFunc(before, a.Index.Stats(), sameRange), nil
}
