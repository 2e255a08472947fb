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

package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/validation"
	"switchyard.dev/switchyard/internal/validation/lint"
	"switchyard.dev/switchyard/webhooks"
)

// clusterPatience bounds the reading of a cluster's objects.
const clusterPatience = 30 * time.Second

// reachJudge reads, as the user, what the webhooks read.
func reachJudge(ctx context.Context, kubeconfig string) (*clusterJudge, error) {
	cluster, err := reachCluster(kubeconfig)
	if err != nil {
		return nil, err
	}
	judge, err := newClusterJudge(ctx, cluster.config)
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's objects: %w", err)
	}
	return judge, nil
}

// clusterJudge has the validators of the admission webhooks, and what they read.
type clusterJudge struct {
	live       client.Client
	validation webhooks.Validation
}

// newClusterJudge reads the cluster once into a cache with the webhooks' indexes.
func newClusterJudge(ctx context.Context, config *rest.Config) (*clusterJudge, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, networkingv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	live, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	ctx, fail := context.WithCancelCause(ctx)
	cached, err := cache.New(config, cache.Options{
		Scheme: scheme,
		// Left to itself the cache would try for ever what is forbidden.
		DefaultWatchErrorHandler: func(_ context.Context, _ *toolscache.Reflector, err error) { fail(err) },
	})
	if err != nil {
		return nil, err
	}
	if err := webhooks.SetupIndexes(ctx, cached); err != nil {
		return nil, err
	}
	// The one kind without an index, so that a missing right shows here too.
	if _, err := cached.GetInformer(ctx, &networkingv1.ServiceCIDR{}); err != nil {
		return nil, err
	}
	go func() {
		if err := cached.Start(ctx); err != nil {
			fail(err)
		}
	}()
	if !cached.WaitForCacheSync(ctx) {
		return nil, context.Cause(ctx)
	}
	world := &webhooks.Cluster{Cached: cached, Live: live}
	return &clusterJudge{live, webhooks.Validation{World: world, Namespaces: world, FailClosed: true}}, nil
}

// find judges the change that applying the object would be.
func (j *clusterJudge) find(ctx context.Context, o lint.Object, namespace string) ([]lint.Finding, error) {
	var why reasons
	found, err := j.ask(ctrl.LoggerInto(ctx, logr.New(&why)), o, namespace)
	if err != nil && why.err != nil {
		// The validator's own answer is for the users of a webhook.
		err = why.err
	}
	return found, err
}

// reasons is a log that keeps the last error: the validators put there what a
// requester is not told.
type reasons struct{ err error }

func (r *reasons) Init(logr.RuntimeInfo)               {}
func (r *reasons) Enabled(int) bool                    { return false }
func (r *reasons) Info(int, string, ...any)            {}
func (r *reasons) Error(err error, _ string, _ ...any) { r.err = err }
func (r *reasons) WithValues(...any) logr.LogSink      { return r }
func (r *reasons) WithName(string) logr.LogSink        { return r }

func (j *clusterJudge) ask(ctx context.Context, o lint.Object, namespace string) ([]lint.Finding, error) {
	switch object := o.Object.(type) {
	case *corev1.Service:
		object = object.DeepCopy()
		validation.Default(object)
		return judged(ctx, j, o, namespace, object, &corev1.Service{}, &webhooks.ServiceValidator{Validation: j.validation})
	case *corev1.Endpoints:
		return judged(ctx, j, o, namespace, object, &corev1.Endpoints{}, webhooks.EndpointsValidator(j.validation))
	case *discoveryv1.EndpointSlice:
		return judged(ctx, j, o, namespace, object, &discoveryv1.EndpointSlice{}, webhooks.EndpointSliceValidator(j.validation))
	}
	return nil, nil
}

// judged asks a validator; before is empty and gets the object as it is there.
func judged[T client.Object](
	ctx context.Context, j *clusterJudge, o lint.Object, namespace string, object, before T, validator admission.Validator[T],
) ([]lint.Finding, error) {
	if object.GetNamespace() == "" {
		object.SetNamespace(namespace)
	}
	exists := object.GetName() != ""
	if exists {
		err := j.live.Get(ctx, client.ObjectKeyFromObject(object), before)
		if exists = err == nil; client.IgnoreNotFound(err) != nil {
			return nil, err
		}
	}
	if exists {
		warnings, err := validator.ValidateUpdate(ctx, before, object)
		return ruleFindings(o, warnings, err)
	}
	warnings, err := validator.ValidateCreate(ctx, object)
	return ruleFindings(o, warnings, err)
}

// ruleWarning is how the validators write a warning, and ruleMessage the end
// of both.
var (
	ruleWarning = regexp.MustCompile(`^([a-z]+[a-zA-Z.0-9\[\]]*): (.*)$`)
	ruleMessage = regexp.MustCompile(`^(.*) \(rule (X[0-9]+)\)$`)
)

// ruleFindings reads a validator's answer. An error that names no field means
// that it could not judge.
func ruleFindings(o lint.Object, warnings admission.Warnings, err error) ([]lint.Finding, error) {
	var found []lint.Finding
	add := func(severity lint.Severity, path, message string) {
		rule := ""
		if parts := ruleMessage.FindStringSubmatch(message); parts != nil {
			message, rule = parts[1], parts[2]
		}
		found = append(found, o.NewFinding(severity, rule, path, message))
	}
	for _, warning := range warnings {
		path := ""
		if parts := ruleWarning.FindStringSubmatch(warning); parts != nil {
			path, warning = parts[1], parts[2]
		}
		add(lint.Warning, path, warning)
	}
	status, is := errors.AsType[*apierrors.StatusError](err)
	switch {
	case err == nil:
		return found, nil
	case !is || !apierrors.IsInvalid(err):
		return nil, err
	}
	for _, cause := range status.ErrStatus.Details.Causes {
		add(lint.Error, cause.Field, cause.Message)
	}
	return found, nil
}
