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
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"k8s.io/client-go/util/workqueue"
)

// longest is how long nobody looks: clocks are set, and machines sleep.
const longest = 12 * time.Hour

// Reconciler takes the steps of a Plan and serves what the Secret has. It runs in
// every replica.
type Reconciler struct {
	Options
	Server *Server
	// Secret holds the certificate.
	Secret types.NamespacedName
	// Validating and Mutating name the configurations.
	Validating, Mutating string

	client client.Client
	live   client.Reader
	// since is when all webhooks were first seen to trust settled.
	since   time.Time
	settled []byte
	// attempts are at the configurations, validating and mutating.
	attempts [2]attempts
	memory   memory
	ready    chan struct{}
	once     sync.Once
}

// SetupWithManager watches the one Secret and the two configurations; the cache
// has to know no others.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.client, r.live = mgr.GetClient(), mgr.GetAPIReader()
	r.ready = make(chan struct{})
	always := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: r.Secret}}
	})
	return ctrl.NewControllerManagedBy(mgr).Named("webhook-certificate").
		For(&corev1.Secret{}).
		Watches(&admissionregistrationv1.ValidatingWebhookConfiguration{}, always).
		Watches(&admissionregistrationv1.MutatingWebhookConfiguration{}, always).
		WatchesRawSource(source.Func(r.begin)).
		WithOptions(controller.Options{NeedLeaderElection: new(false)}).Complete(r)
}

// begin looks once although there may be no Secret yet.
func (r *Reconciler) begin(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	queue.Add(reconcile.Request{NamespacedName: r.Secret})
	return nil
}

// Ready is closed once there is a certificate that the webhook configurations
// trust.
func (r *Reconciler) Ready() <-chan struct{} { return r.ready }

// Reconcile reads past the caches: a step that rests on what was there before could
// undo another manager's. It reads the configurations first, so that the Secret
// is never older than they are.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	configurations, err := r.configurations(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	secret := &corev1.Secret{}
	if err := r.live.Get(ctx, r.Secret, secret); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("reading the webhook certificate: %w", err)
	}
	if err := r.Server.Take(secret.Data); err != nil {
		ctrl.LoggerFrom(ctx).Info("Still serving the certificate before", "reason", err.Error())
	}
	now := time.Now()
	if r.canSign(secret.Data, now) {
		r.memory.last = secret.Data
	}
	known := Known{Secret: secret.Data, Last: r.memory.last, Trusted: bundles(configurations)}
	known.Since = r.trustedSince(known, now)
	return r.apply(ctx, r.Plan(known, now), secret, configurations, now)
}

// apply takes one step. What it writes leads to the next one.
func (r *Reconciler) apply(ctx context.Context, plan Plan, secret *corev1.Secret, configurations []configuration, now time.Time) (ctrl.Result, error) {
	switch {
	case plan.Make != nil:
		return r.keep(ctx, plan, secret, now)
	case plan.Bundle != nil:
		return r.trust(ctx, configurations, plan, now)
	}
	if r.Server.trustedBy(secret.Data[authorityCert]) {
		r.once.Do(func() { close(r.ready) })
	}
	if plan.Why != "" {
		ctrl.LoggerFrom(ctx).Info("Waiting until API servers trust the new authority", "until", now.Add(plan.After), "reason", plan.Why)
	}
	return ctrl.Result{RequeueAfter: min(plan.After, longest)}, nil
}

// trustedSince is by this process's clock alone: others' may differ by more
// than what is waited for.
func (r *Reconciler) trustedSince(known Known, now time.Time) time.Time {
	authorities := known.Secret[authorityCert]
	if !trusted(known.Trusted, authorities) {
		r.settled = nil
		return now
	}
	if r.settled == nil || !bytes.Equal(r.settled, authorities) {
		r.settled, r.since = authorities, now
	}
	return r.since
}

// configuration is one of the two, with the parts of its webhooks that say whom to
// trust.
type configuration struct {
	client.Object
	attempts *attempts
	webhooks func() []*admissionregistrationv1.WebhookClientConfig
}

// configurations are those that exist: one that does not trusts nobody, and is
// told when it is installed.
func (r *Reconciler) configurations(ctx context.Context) ([]configuration, error) {
	validating, mutating := &admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.MutatingWebhookConfiguration{}
	all := []configuration{
		{validating, &r.attempts[0], func() (found []*admissionregistrationv1.WebhookClientConfig) {
			for i := range validating.Webhooks {
				found = append(found, &validating.Webhooks[i].ClientConfig)
			}
			return found
		}},
		{mutating, &r.attempts[1], func() (found []*admissionregistrationv1.WebhookClientConfig) {
			for i := range mutating.Webhooks {
				found = append(found, &mutating.Webhooks[i].ClientConfig)
			}
			return found
		}},
	}
	var there []configuration
	for i, name := range []string{r.Validating, r.Mutating} {
		switch err := r.live.Get(ctx, types.NamespacedName{Name: name}, all[i].Object); {
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
