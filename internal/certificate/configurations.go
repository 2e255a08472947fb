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

package certificate

import (
	"context"
	"errors"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// configuration is one of the two, with the parts of its webhooks that say whom to
// call and whom to trust.
type configuration struct {
	client.Object
	// namespace is that of the Service that webhooks of ours lead to.
	namespace string
	attempts  *attempts
	clients   func() []*admissionregistrationv1.WebhookClientConfig
}

// webhooks are those that lead to us: whom the others trust is not ours to say.
func (c configuration) webhooks() (ours []*admissionregistrationv1.WebhookClientConfig) {
	for _, webhook := range c.clients() {
		if webhook.Service == nil || webhook.Service.Namespace == c.namespace {
			ours = append(ours, webhook)
		}
	}
	return ours
}

// configurations are those that exist: one that does not trusts nobody, and is
// told when it is installed.
func (r *Reconciler) configurations(ctx context.Context, from client.Reader) ([]configuration, error) {
	validating, mutating := &admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.MutatingWebhookConfiguration{}
	all := []configuration{
		{validating, r.Secret.Namespace, &r.attempts[0], func() (found []*admissionregistrationv1.WebhookClientConfig) {
			for i := range validating.Webhooks {
				found = append(found, &validating.Webhooks[i].ClientConfig)
			}
			return found
		}},
		{mutating, r.Secret.Namespace, &r.attempts[1], func() (found []*admissionregistrationv1.WebhookClientConfig) {
			for i := range mutating.Webhooks {
				found = append(found, &mutating.Webhooks[i].ClientConfig)
			}
			return found
		}},
	}
	var there []configuration
	for i, name := range []string{r.Validating, r.Mutating} {
		switch err := from.Get(ctx, types.NamespacedName{Name: name}, all[i].Object); {
		case err == nil:
			there = append(there, all[i])
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("reading the webhook configurations: %w", err)
		}
	}
	return there, nil
}

func bundles(configurations []configuration) [][]byte {
	var all [][]byte
	for _, c := range configurations {
		for _, webhook := range c.webhooks() {
			all = append(all, webhook.CABundle)
		}
	}
	return all
}

// trust gives the authorities to every configuration that has others, and leaves the
// rest to whoever installed it. One that somebody else keeps changing back has to
// wait longer each time.
func (r *Reconciler) trust(ctx context.Context, configurations []configuration, plan Plan, now time.Time) (ctrl.Result, error) {
	var errs []error
	after := longest
	for _, c := range configurations {
		if trusted(bundles([]configuration{c}), plan.Bundle) {
			continue
		}
		wait := c.attempts.wait(c.GetUID(), plan.Bundle, now)
		tellOf(ctx, c)
		if wait == 0 {
			wait = time.Millisecond // what was written leads to the next step
			errs = append(errs, r.tell(ctx, c, plan, now))
		}
		after = min(after, wait)
	}
	if err := errors.Join(errs...); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: after}, nil
}

// tell writes the authorities into one configuration. A conflict is an attempt as
// well: somebody may be writing all the time.
func (r *Reconciler) tell(ctx context.Context, c configuration, plan Plan, now time.Time) error {
	ctrl.LoggerFrom(ctx).Info("Telling a webhook configuration whom to trust", "configuration", c.GetName(), "reason", plan.Why)
	before := c.DeepCopyObject().(client.Object)
	for _, webhook := range c.webhooks() {
		webhook.CABundle = plan.Bundle
	}
	patch := client.StrategicMergeFrom(before, client.MergeFromWithOptimisticLock{})
	if err := r.client.Patch(ctx, c.Object, patch); err != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("telling %s whom to trust: %w", c.GetName(), err)
	}
	c.attempts.wrote(plan.Bundle, now)
	return nil
}

// tellOf says once who else keeps writing whom a configuration trusts.
func tellOf(ctx context.Context, c configuration) {
	rival, known := writerOf(c.GetManagedFields())
	if !known || !c.attempts.news(rival.name) {
		return
	}
	ctrl.LoggerFrom(ctx).Info("Somebody else keeps changing whom a webhook configuration trusts",
		"configuration", c.GetName(), "writer", rival.name, "written", rival.time, "remedy", rival.remedy())
}
