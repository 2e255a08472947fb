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
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// Validation is what the three validators share.
type Validation struct {
	World      World
	Severities Severities
	Exempt     Exemptions
	// FailClosed refuses what can not be judged. It serves the namespaces
	// labelled switchyard.dev/admission=enforce.
	FailClosed bool
}

// judgeTimeout leaves the rest of the webhook's three seconds for the answer:
// saying why is worth more than being cut off.
const judgeTimeout = 2 * time.Second

// answer runs a validation of one object and turns its verdict into what
// controller-runtime sends back.
func (v *Validation) answer(ctx context.Context, kind schema.GroupKind, object client.Object,
	validate func(context.Context) (Verdict, error)) (admission.Warnings, error) {
	if object.GetDeletionTimestamp() != nil || v.Exempt.Object(object) {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	verdict, err := validate(ctx)
	switch {
	case len(verdict.Errors) > 0:
		// One broken rule is enough, whatever another would have said.
		return verdict.Warnings, apierrors.NewInvalid(kind, nameOf(object), verdict.Errors)
	case err != nil:
		return v.unjudged(ctx, kind, verdict.Warnings, err)
	}
	return verdict.Warnings, nil
}

// unjudged decides when a rule could not be read up on. The webhook's own
// failurePolicy does not apply, because we did answer. The error is for the log:
// it may name a Service that the requester may not read.
func (v *Validation) unjudged(ctx context.Context, kind schema.GroupKind, warnings []string, err error) (admission.Warnings, error) {
	unjudgedCounter.WithLabelValues(kind.Kind).Inc()
	ctrl.LoggerFrom(ctx).Error(err, "Could not judge a change", "refused", v.FailClosed)
	if v.FailClosed {
		return warnings, apierrors.NewServiceUnavailable(fmt.Sprintf(
			"switchyard could not judge this, and this namespace is labelled %s=%s, so it is refused: try again, the manager's log says why",
			EnforceLabel, EnforceValue))
	}
	return append(warnings, "switchyard let this pass unjudged; the manager's log says why"), nil
}

// The label of a namespace whose Services and endpoints are refused while no
// webhook answers.
const (
	EnforceLabel = "switchyard.dev/admission"
	EnforceValue = "enforce"
)

// nameOf is the object's name, or what it will begin with.
func nameOf(object client.Object) string {
	if name := object.GetName(); name != "" {
		return name
	}
	return object.GetGenerateName()
}
