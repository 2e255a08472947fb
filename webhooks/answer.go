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
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// Validation is what the validators share.
type Validation struct {
	World World
	// Severities are those of the configuration.
	Severities Severities
	// Namespaces says how a namespace changes them; nil changes nothing.
	Namespaces NamespaceReader
	Exempt     Exemptions
	// FailClosed refuses what can not be judged. It serves the namespaces
	// labelled switchyard.dev/admission=enforce.
	FailClosed bool
	// Audit refuses nothing: what would be refused is a warning, counted and logged.
	Audit bool

	// turns has large changes wait for each other.
	turns *turns
	// patience is what the request allows unless set.
	patience time.Duration
}

// write is one write of an object, as its kind's validator hands it in.
type write struct {
	kind schema.GroupKind
	// before is nil when the object is being created.
	before, after client.Object
	// size is how many addresses and ports there are to look at.
	size     int
	validate func(context.Context, Severities) (Verdict, error)
}

// answer judges a write and turns the verdict into what controller-runtime sends
// back.
func (v *Validation) answer(ctx context.Context, w write) (admission.Warnings, error) {
	began := time.Now()
	result, warnings, err := v.judge(ctx, w)
	request, _ := admission.RequestFromContext(ctx)
	countRequest(w.kind.Kind, request.Operation, result, time.Since(began))
	return warnings, err
}

func (v *Validation) judge(ctx context.Context, w write) (result string, warnings admission.Warnings, err error) {
	kind, object := w.kind, w.after
	request, _ := admission.RequestFromContext(ctx)
	if v.Exempt.Write(request.UserInfo.Username, object) || w.before != nil && onlyLetsGo(w.before, object) {
		return resultAllowed, nil, nil
	}
	caller := ctx
	ctx, cancel := context.WithDeadline(withReviews(ctx), arrivalOf(ctx).Add(cmp.Or(v.patience, allowedBy(ctx))))
	defer cancel()
	severities := v.severitiesIn(ctx, object.GetNamespace())
	defer v.turns.take(ctx, object.GetNamespace(), w.size)()
	verdict, err := w.validate(ctx, severities)
	v.count(verdict)
	if err == nil && len(verdict.Unread) > 0 {
		verdict.Warnings = append(verdict.Warnings, fmt.Sprintf(
			"switchyard could not judge rule %s; the manager's log says why", strings.Join(verdict.Unread, ", ")))
	}
	switch {
	case len(verdict.Errors) > 0 && v.Audit:
		return resultAudited, v.audited(ctx, kind, object, verdict), nil
	case len(verdict.Errors) > 0:
		// One broken rule is enough, whatever another would have said.
		return resultDenied, verdict.Warnings, apierrors.NewInvalid(kind, nameOf(object), verdict.Errors)
	case err != nil && ctx.Err() != nil && caller.Err() == nil:
		warnings, err = v.tooLong(ctx, verdict.Warnings, err)
		return resultUnjudged, warnings, err
	case err != nil:
		warnings, err = v.unjudged(ctx, verdict.Warnings, err)
		return resultUnjudged, warnings, err
	case len(verdict.Warnings) > 0:
		return resultWarned, verdict.Warnings, nil
	}
	return resultAllowed, nil, nil
}

// count files the findings under what they led to.
func (v *Validation) count(verdict Verdict) {
	action := string(Deny)
	if v.Audit {
		action = actionAudit
	}
	for _, rule := range verdict.denied {
		countFinding(rule, action)
	}
	for _, rule := range verdict.warned {
		countFinding(rule, string(Warn))
	}
}

// audited turns refusals into warnings.
func (v *Validation) audited(ctx context.Context, kind schema.GroupKind, object client.Object, verdict Verdict) admission.Warnings {
	request, _ := admission.RequestFromContext(ctx)
	ctrl.LoggerFrom(ctx).Info("Would have refused a change", "kind", kind.Kind, "object", klog.KRef(object.GetNamespace(), nameOf(object)),
		"user", request.UserInfo.Username, "reason", verdict.Errors.ToAggregate().Error())
	warnings := slices.Clone(verdict.Warnings)
	for _, refused := range verdict.Errors {
		warnings = append(warnings, auditPrefix+refused.Error())
	}
	return warnings
}

// auditPrefix begins a warning that is a refusal without the audit mode.
const auditPrefix = "would be refused: "

// tooLong refuses what our own time was not enough for: otherwise whoever sends
// enough at a time would escape every rule, and have others escape them.
func (v *Validation) tooLong(ctx context.Context, warnings []string, err error) (admission.Warnings, error) {
	ctrl.LoggerFrom(ctx).Error(err, "Had no time left to judge a change", "refused", !v.Audit)
	refusal := tooLate(cmp.Or(v.patience, allowedBy(ctx)))
	if v.Audit {
		return append(warnings, auditPrefix+refusal.Error()), nil
	}
	return warnings, refusal
}

// unjudged decides when a rule could not be read up on. The webhook's own
// failurePolicy does not apply, because we did answer. The error is for the log:
// it may name a Service that the requester may not read.
func (v *Validation) unjudged(ctx context.Context, warnings []string, err error) (admission.Warnings, error) {
	refused := v.FailClosed && !v.Audit
	ctrl.LoggerFrom(ctx).Error(err, "Could not judge a change", "refused", refused)
	if refused {
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
