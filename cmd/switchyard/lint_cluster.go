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
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/validation"
	"switchyard.dev/switchyard/internal/validation/lint"
	"switchyard.dev/switchyard/webhooks"
)

// clusterPatience bounds the reading of a cluster's objects.
const clusterPatience = 30 * time.Second

// reachJudge reads, as the user, what the webhooks read.
func (o *lintOptions) reachJudge(ctx context.Context, notes io.Writer) (*clusterJudge, error) {
	cluster, err := o.reach()
	if err != nil {
		return nil, err
	}
	judge, err := newClusterJudge(ctx, cluster.config)
	if apierrors.IsForbidden(err) {
		judge, err = withoutRules(ctx, cluster.config)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's objects: %w%s", err, advice(err, cluster.config.Host))
	}
	judge.namespace, judge.notes = cmp.Or(o.namespace, cluster.namespace), notes
	judge.server = serverOptions(cluster.config)
	return judge, nil
}

// clusterJudge has the validators of the admission webhooks, and what they read.
type clusterJudge struct {
	live       client.Client
	cached     client.Reader
	validation webhooks.Validation
	find       finding
	// server is what an older one does otherwise.
	server validation.Options
	// numbers are read when they are asked for first.
	numbers func() (*allocator.Services, error)
	// namespace is that of objects without one.
	namespace string
	// notes is where it says what it could not look at.
	notes io.Writer
	// ruleless judges without the rules.
	ruleless bool
	// unread is why rules were not asked.
	unread []inventory.Unread
}

// lintScheme has the kinds that the rules read.
func lintScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, networkingv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

// newClusterJudge reads the cluster once into a cache with the webhooks' indexes.
func newClusterJudge(ctx context.Context, config *rest.Config) (*clusterJudge, error) {
	scheme, err := lintScheme()
	if err != nil {
		return nil, err
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
	// The kinds without an index, so that a missing right shows here too.
	for _, object := range []client.Object{&networkingv1.ServiceCIDR{}, &v1alpha1.PortPool{}, &v1alpha1.AddressPool{}} {
		if _, err := cached.GetInformer(ctx, object, cache.BlockUntilSynced(false)); err != nil && !meta.IsNoMatchError(err) {
			return nil, err
		}
	}
	go func() {
		if err := cached.Start(ctx); err != nil {
			fail(err)
		}
	}()
	if !cached.WaitForCacheSync(ctx) {
		return nil, context.Cause(ctx)
	}
	return judgeBy(live, cached), nil
}

func judgeBy(live client.Client, cached client.Reader) *clusterJudge {
	world := &webhooks.Cluster{Cached: snapshot{cached, live}, Live: live}
	judge := &clusterJudge{live: live, cached: cached, find: lint.Object.FindUpdate, namespace: corev1.NamespaceDefault, notes: io.Discard}
	judge.validation = webhooks.Validation{World: world, Namespaces: judge, FailClosed: true}
	return judge
}

// snapshot is the cache, but for kinds of which few objects are asked for, by
// name: nobody needs the right to list them.
type snapshot struct {
	client.Reader
	live client.Reader
}

func (s snapshot) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	switch object.(type) {
	case *metav1.PartialObjectMetadata, *v1alpha1.PortReservation, *v1alpha1.AddressReservation:
		return s.live.Get(ctx, key, object, options...)
	}
	return s.Reader.Get(ctx, key, object, options...)
}

// NamespaceLabels implements webhooks.NamespaceReader. A namespace that is yet to
// be made has none.
func (j *clusterJudge) NamespaceLabels(ctx context.Context, name string) (labels.Set, error) {
	var namespace corev1.Namespace
	err := j.live.Get(ctx, client.ObjectKey{Name: name}, &namespace)
	if client.IgnoreNotFound(err) != nil {
		_, _ = fmt.Fprintf(j.notes, "switchyard: took the default severities in namespace %s, whose labels can not be read: %v\n", name, err)
	}
	return namespace.Labels, nil
}

// judge first asks what a server would say to applying the object, and then, if
// it takes it, the rules.
func (j *clusterJudge) judge(ctx context.Context) judgement {
	var families []corev1.IPFamily
	if cidrs, err := j.validation.World.ServiceCIDRs(ctx); err == nil {
		families = familiesOf(cidrs)
	}
	j.numbers = sync.OnceValues(func() (*allocator.Services, error) { return numbersIn(ctx, j.cached) })
	return func(o lint.Object, opts validation.Options) ([]lint.Finding, error) {
		opts.LegacyAddresses, opts.LegacyNames = j.server.LegacyAddresses, j.server.LegacyNames
		if len(opts.IPFamilies) == 0 {
			opts.IPFamilies = families
		}
		before, err := j.before(ctx, o)
		if err != nil {
			return nil, err
		}
		merged, err := o.Onto(before)
		if err != nil {
			return nil, err
		}
		found, complete := j.find(merged, before, opts)
		// What no server takes has nothing to clash with.
		if complete == nil || slices.ContainsFunc(found, func(f lint.Finding) bool { return f.Severity == lint.Error }) {
			return found, nil
		}
		clashes, err := j.clashes(ctx, o, before, complete)
		if err != nil {
			return nil, err
		}
		// The cache has no order.
		slices.SortStableFunc(clashes, func(a, b lint.Finding) int {
			return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
		})
		return append(found, clashes...), nil
	}
}

// familiesOf are those that the cluster gives ClusterIPs of; those of the server's
// flags come first.
func familiesOf(cidrs []webhooks.ServiceCIDR) []corev1.IPFamily {
	const ofFlags = "kubernetes"
	cidrs = slices.SortedStableFunc(slices.Values(cidrs), func(a, b webhooks.ServiceCIDR) int {
		return strings.Compare(strings.TrimPrefix(a.Name, ofFlags), strings.TrimPrefix(b.Name, ofFlags))
	})
	var families []corev1.IPFamily
	for _, cidr := range cidrs {
		family := corev1.IPv4Protocol
		if cidr.Prefix.Addr().Is6() {
			family = corev1.IPv6Protocol
		}
		if !slices.Contains(families, family) {
			families = append(families, family)
		}
	}
	return families
}

// before is the object as it is there, or nil.
func (j *clusterJudge) before(ctx context.Context, o lint.Object) (runtime.Object, error) {
	written, is := o.Object.(client.Object)
	if !is || written.GetName() == "" {
		return nil, nil
	}
	before := written.DeepCopyObject().(client.Object)
	key := client.ObjectKey{Namespace: cmp.Or(written.GetNamespace(), j.namespace), Name: written.GetName()}
	switch err := j.live.Get(ctx, key, before); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading %s %s: %w", o.Kind, key, err)
	}
	return before, nil
}

// clashes are what the rules find in the change, and numbers that are taken.
func (j *clusterJudge) clashes(ctx context.Context, o lint.Object, before, after runtime.Object) ([]lint.Finding, error) {
	found, err := j.askRules(ctx, o, before, after)
	if err != nil {
		return nil, err
	}
	svc, is := after.(*corev1.Service)
	if !is {
		return found, nil
	}
	numbers, err := j.numbersFor(ctx, cmp.Or(o.Namespace, j.namespace))
	if err != nil {
		return nil, err
	}
	old, _ := before.(*corev1.Service)
	held := taken(numbers, o, old, svc)
	// The rule about doubles speaks of what the API server has let through.
	found = slices.DeleteFunc(found, func(f lint.Finding) bool {
		return f.Rule == webhooks.RuleNodePortHeld.ID && slices.ContainsFunc(held, func(h lint.Finding) bool { return h.Field == f.Field })
	})
	return append(found, held...), nil
}

// askRules leaves out what the user may not read.
func (j *clusterJudge) askRules(ctx context.Context, o lint.Object, before, after runtime.Object) ([]lint.Finding, error) {
	var why reasons
	found, err := j.ask(ctrl.LoggerInto(ctx, logr.New(&why)), o, before, after)
	if err != nil {
		// The validator's own answer is for the users of a webhook.
		err = cmp.Or(why.err, err)
	}
	if apierrors.IsForbidden(err) {
		j.leaveOutRule(err)
		return nil, nil
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

func (j *clusterJudge) ask(ctx context.Context, o lint.Object, before, after runtime.Object) ([]lint.Finding, error) {
	if object, is := after.(client.Object); is {
		object.SetNamespace(cmp.Or(o.Namespace, j.namespace))
	}
	if j.ruleless {
		return nil, nil
	}
	switch after := after.(type) {
	case *corev1.Service:
		return judged(ctx, o, before, after, &webhooks.ServiceValidator{Validation: j.validation})
	case *corev1.Endpoints:
		return judged(ctx, o, before, after, webhooks.EndpointsValidator(j.validation))
	case *discoveryv1.EndpointSlice:
		return judged(ctx, o, before, after, webhooks.EndpointSliceValidator(j.validation))
	}
	return nil, nil
}

// judged asks a validator.
func judged[T client.Object](
	ctx context.Context, o lint.Object, before runtime.Object, after T, validator admission.Validator[T],
) ([]lint.Finding, error) {
	if old, is := before.(T); is {
		warnings, err := validator.ValidateUpdate(ctx, old, after)
		return ruleFindings(o, warnings, err)
	}
	warnings, err := validator.ValidateCreate(ctx, after)
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
