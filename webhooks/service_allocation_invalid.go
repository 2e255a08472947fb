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
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/validation"
)

// isInvalid tells requests that the API server is going to refuse whatever numbers
// they have: they get their numbers without a claim, which would only keep these
// from others. Where a webhook after us mends the object, the server is the lock.
func (r *allocationRequest) isInvalid() bool {
	opts := validation.Options{LegacyAddresses: true} // what an older server takes is claimed for
	var errs field.ErrorList
	if r.old == nil {
		_, errs = validation.Manifest(r.new, opts)
	} else {
		_, errs = validation.ManifestUpdate(r.old, r.new, opts)
	}
	return len(errs) > 0
}

// withoutClaims takes back what the plan has claimed in the index.
func (a *ServiceAllocation) withoutClaims(request *allocationRequest, plan allocator.Plan) {
	c := &claims{ServiceAllocation: a, request: request, service: client.ObjectKeyFromObject(request.new)}
	c.giveUp(plan.Assignments)
}
