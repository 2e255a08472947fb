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
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// jsonPatch is one operation of RFC 6902. "add" replaces what is there.
type jsonPatch struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// assign answers with the numbers as a patch of just those fields, so that what
// this version does not know of a Service stays as it is.
func assign(request *allocationRequest, plan allocator.Plan) (admission.Response, error) {
	operations := patchOf(plan, request.dryRun)
	warnings := append(placedWarnings(plan, request.dryRun), request.hidden...)
	if request.withoutNodePorts {
		operations = append(operations, jsonPatch{"add", "/spec/allocateLoadBalancerNodePorts", false})
	}
	if len(operations) == 0 {
		countAllocation(outcomeUntouched)
		return admission.Allowed("").WithWarnings(warnings...), nil
	}
	patch, err := json.Marshal(operations)
	if err != nil {
		return admission.Response{}, fmt.Errorf("writing the patch: %w", err)
	}
	if !request.dryRun {
		countAssignments(plan.Assignments)
	}
	countAllocation(outcomeAssigned)
	response := admission.Allowed("").WithWarnings(warnings...)
	kind := admissionv1.PatchTypeJSONPatch
	response.Patch, response.PatchType = patch, &kind
	return response, nil
}

func patchOf(plan allocator.Plan, dryRun bool) []jsonPatch {
	var patch []jsonPatch
	if len(plan.ClusterIPs) > 0 {
		patch = append(patch,
			jsonPatch{"add", "/spec/clusterIP", plan.ClusterIPs[0]},
			jsonPatch{"add", "/spec/clusterIPs", plan.ClusterIPs})
	}
	for _, assignment := range plan.Assignments {
		port := assignment.Number.Port
		if dryRun && assignment.Placed {
			port = 0
		}
		if assignment.Explicit && port != 0 {
			continue // it is there
		}
		for _, path := range portPaths(assignment.Field) {
			patch = append(patch, jsonPatch{"add", path, port})
		}
	}
	return patch
}

// portPaths are the places of a port in a patch.
func portPaths(f allocator.Field) []string {
	var paths []string
	switch f.Kind {
	case allocator.HealthCheckNodePort:
		return []string{"/spec/healthCheckNodePort"}
	case allocator.NodePort:
		for _, index := range f.Indexes {
			paths = append(paths, fmt.Sprintf("/spec/ports/%d/nodePort", index))
		}
	}
	return paths
}

// placedWarnings say what a dry-run can not show: nothing may be let go of for it,
// and the API server refuses ports that a placeholder of ours holds. So it is left
// to answer without them, as it must not say that the Service could not be made.
func placedWarnings(plan allocator.Plan, dryRun bool) []string {
	var warnings []string
	for _, assignment := range plan.Assignments {
		if dryRun && assignment.Placed {
			warnings = append(warnings, fmt.Sprintf("%s will be %s, which is reserved for this Service; a dry-run can not show it",
				pathOf(assignment.Field), assignment.Number))
		}
	}
	return warnings
}

// deny answers as the API server's own validation does, field by field: kubectl
// prints `The Service "web" is invalid: spec.ports[0].nodePort: Invalid value:
// 30080: held by Service default/db; free: 30086-30100, ...`.
func (a *ServiceAllocation) deny(ctx context.Context, request *allocationRequest, refusals []allocator.Refusal) admission.Response {
	var errs field.ErrorList
	ctx = withReviews(ctx)
	for _, refusal := range refusals {
		errs = append(errs, a.explain(ctx, request, refusal))
		countRefusal(refusal)
	}
	countAllocation(outcomeDenied)
	kind := corev1.SchemeGroupVersion.WithKind("Service").GroupKind()
	return denied(apierrors.NewInvalid(kind, nameOf(request.new), errs))
}

func (a *ServiceAllocation) explain(ctx context.Context, request *allocationRequest, refusal allocator.Refusal) *field.Error {
	path := pathOf(refusal.Field)
	name := func(service types.NamespacedName) string {
		return ReaderNames{Reviews: a.Client}.nameFor(ctx, request.Request, service)
	}
	switch {
	case refusal.Full != "":
		where := refusal.Full
		if !a.mayReadPools(ctx, request, refusal) {
			where = "the pools of namespace " + request.Namespace
		}
		return field.Forbidden(path, "no number is free in "+where)
	case refusal.Manual != nil:
		pools := ": " + strings.Join(refusal.Manual, ", ")
		if !a.mayReadPools(ctx, request, refusal) {
			pools = ""
		}
		return field.Forbidden(path, fmt.Sprintf("no pool of namespace %s gives numbers by itself: "+
			"ask for one by number, or have one of the pools do so (spec.autoAssign)%s", request.Namespace, pools))
	case refusal.Range != "":
		return field.Invalid(path, valueOf(refusal.Number), "not in "+refusal.Range)
	case refusal.Reserved != nil && refusal.Reserved.Service.Name == "":
		return field.Invalid(path, valueOf(refusal.Number), fmt.Sprintf("reserved for no Service (%s %s); %s",
			refusal.Reserved.Kind(), refusal.Reserved.Object, refusal.Free))
	case refusal.Reserved != nil:
		return field.Invalid(path, valueOf(refusal.Number), fmt.Sprintf("reserved for %s (%s %s); %s",
			name(refusal.Reserved.Service), refusal.Reserved.Kind(), refusal.Reserved.Object, refusal.Free))
	}
	return field.Invalid(path, valueOf(refusal.Number), fmt.Sprintf("held by %s; %s", name(refusal.Holders[0].Service), refusal.Free))
}

// mayReadPools tells whether the requester may read all the pools of a refusal.
// Else it is told that there are some, and no names.
func (a *ServiceAllocation) mayReadPools(ctx context.Context, request *allocationRequest, refusal allocator.Refusal) bool {
	pools := resource{v1alpha1.GroupVersion.Group, v1alpha1.GroupVersion.Version, "portpools"}
	if refusal.Field.Kind == allocator.ClusterIP {
		pools.name = "addresspools"
	}
	names := ReaderNames{Reviews: a.Client}
	return !slices.ContainsFunc(refusal.Pools, func(name string) bool {
		return !names.mayGet(ctx, request.UserInfo, pools, types.NamespacedName{Name: name})
	})
}

func pathOf(f allocator.Field) *field.Path {
	spec := field.NewPath("spec")
	switch f.Kind {
	case allocator.ClusterIP:
		return spec.Child("clusterIPs").Index(f.Indexes[0])
	case allocator.NodePort:
		return spec.Child("ports").Index(f.Indexes[0]).Child("nodePort")
	}
	return spec.Child("healthCheckNodePort")
}

func valueOf(n allocator.Number) any {
	if n.IsPort() {
		return n.Port
	}
	return n.String()
}

// denied carries the whole status, with its causes, to the client.
func denied(reason *apierrors.StatusError) admission.Response {
	response := admission.Denied("")
	status := reason.Status()
	response.Result = &status
	return response
}
