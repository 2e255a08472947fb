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
	"fmt"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
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
	away     away
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
	configurations, err := r.configurations(ctx, r.live)
	if err != nil {
		return r.withoutRights(ctx, err)
	}
	r.away.look(ctx, r.Secret.Namespace, configurations)
	home, err := r.home(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	secret := &corev1.Secret{}
	if err := r.live.Get(ctx, r.Secret, secret); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("reading the webhook certificate: %w", err)
	}
	known, now := Known{Home: home, Secret: secret.Data, Trusted: bundles(configurations)}, time.Now()
	if err := r.Server.Take(secret.Data, now, known.Trusted...); err != nil {
		ctrl.LoggerFrom(ctx).Info("Not serving the certificate of the Secret", "reason", err.Error())
	}
	r.away.taken(ctx, home, parseAuthorities(now, known.Trusted...))
	if r.memory.home = home; r.canSign(secret.Data, home, now) {
		r.memory.last = secret.Data
	}
	known.Last, known.Since = r.memory.last, r.trustedSince(known, now)
	return r.apply(ctx, r.Plan(known, now), secret, configurations, now)
}

// home is the namespace of the Secret, as it is now.
func (r *Reconciler) home(ctx context.Context) (Home, error) {
	namespace := &corev1.Namespace{}
	if err := r.live.Get(ctx, types.NamespacedName{Name: r.Secret.Namespace}, namespace); client.IgnoreNotFound(err) != nil {
		return Home{}, fmt.Errorf("reading the namespace of the webhook certificate: %w", err)
	}
	return Home{Namespace: r.Secret.Namespace, UID: string(namespace.UID)}, nil
}

// apply takes one step. What it writes leads to the next one.
func (r *Reconciler) apply(ctx context.Context, plan Plan, secret *corev1.Secret, configurations []configuration, now time.Time) (ctrl.Result, error) {
	switch {
	case plan.Make != nil:
		return r.keep(ctx, plan, secret, now)
	case plan.Bundle != nil:
		return r.trust(ctx, configurations, plan, now)
	}
	if r.Server.trustedBy(secret.Data[authorityCert], now) {
		r.once.Do(func() { close(r.ready) })
		r.away.back(ctx, r.Secret.Namespace, configurations)
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
