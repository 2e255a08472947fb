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

package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/diagnosis"
	"switchyard.dev/switchyard/internal/placeholder"
)

// +kubebuilder:rbac:groups="",resources=services;pods;nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=services/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=endpoints,verbs=get
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

const (
	// diagnosisPace is the shortest time between two looks at a Service, however much
	// happens to it: an examination takes time in proportion to its pods.
	diagnosisPace = time.Second
	// diagnosisWorkers is how many Services are looked at at a time.
	diagnosisWorkers = 2
	// diagnosisWriteRate bounds the writes of a second, all Services together, and
	// those in their turn by themselves. Each goes to every watcher of Services, which
	// all nodes are.
	diagnosisWriteRate = 20
)

// DiagnosisOptions are what the diagnosis reconciler has to know.
type DiagnosisOptions struct {
	// Namespace is the manager's own, whose Services are left out as far as they are
	// Switchyard's.
	Namespace string
	// NodePorts is the API server's range.
	NodePorts allocator.PortSpan
	// Allocation tells that pools, reservations and IPAddresses are watched anyway.
	Allocation bool
	// ClusterDomain ends the names of Services, as in cluster.local, which it is if empty.
	ClusterDomain string
	// Grace is how long a condition has to be worse before it is written; 30 s if 0.
	Grace time.Duration
	// Pace is the shortest time between two looks at a Service; 1 s if 0.
	Pace time.Duration
}

func (o DiagnosisOptions) pace() time.Duration { return cmp.Or(o.Pace, diagnosisPace) }

// DiagnosisReconciler keeps the conditions in the status of Services that say why
// one does not answer. What is wrong is for internal/diagnosis to find, and when
// that is written for findTransitions; this type reads the caches and writes.
type DiagnosisReconciler struct {
	// Client writes, Live reads past the caches; both are the manager's when nil.
	Client  client.Client
	Live    client.Reader
	Options DiagnosisOptions
	// Recorder tells users of transitions.
	Recorder events.EventRecorder
	// Now is the clock, time.Now when nil.
	Now func() time.Time

	services *selectorIndex
	caches   diagnosisCaches
	numbers  *numberAudit
	memories diagnosisMemories
	// firsts is for those that have a turn, writes for all others.
	writes, firsts *rate.Limiter
	// began is when the first Service was looked at.
	began time.Time
	begin sync.Once
}

// SetupWithManager registers the watches, those of numbers among them.
func (r *DiagnosisReconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil {
		r.Client = mgr.GetClient()
	}
	if r.Live == nil {
		r.Live = mgr.GetAPIReader()
	}
	if r.Recorder == nil {
		r.Recorder = mgr.GetEventRecorder(diagnosisFieldManager)
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Options.Grace == 0 {
		r.Options.Grace = diagnosisGrace
	}
	r.services = newSelectorIndex()
	r.writes = rate.NewLimiter(diagnosisWriteRate, diagnosisWriteRate)
	r.firsts = rate.NewLimiter(diagnosisWriteRate, diagnosisWriteRate)
	var err error
	if r.caches, err = newDiagnosisCaches(context.Background(), mgr); err != nil {
		return fmt.Errorf("setting up diagnosis: %w", err)
	}
	r.numbers = newNumberAudit(r.Options, mgr.GetClient())
	if err := errors.Join(r.numbers.setup(mgr), r.watch(mgr)); err != nil {
		return fmt.Errorf("setting up diagnosis: %w", err)
	}
	return nil
}

func (r *DiagnosisReconciler) watch(mgr ctrl.Manager) error {
	options := EndpointsOptions{Workers: diagnosisWorkers}
	return ctrl.NewControllerManagedBy(mgr).
		Named("diagnosis").
		WithOptions(options.controller()).
		Watches(&corev1.Service{}, r.serviceEvents()).
		Watches(&corev1.Pod{}, podEvents(r.services, r.Options.pace(), nil)).
		Watches(&discoveryv1.EndpointSlice{}, r.sliceEvents()).
		Watches(&corev1.Node{}, r.nodeEvents()).
		Watches(&networkingv1.NetworkPolicy{}, r.policyEvents()).
		WatchesRawSource(source.TypedChannel(r.numbers.changed, r.findingEvents())).
		Complete(r)
}

// Reconcile looks at one Service.
func (r *DiagnosisReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	select {
	case <-r.numbers.ready:
	case <-ctx.Done():
		return ctrl.Result{}, nil
	}
	r.begin.Do(func() { r.began = r.Now() })
	object, found, err := r.caches.services.GetByKey(request.String())
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("reading the cache: %w", err)
	}
	service, ok := object.(*corev1.Service)
	if !found || !ok || r.leftOut(service) {
		r.memories.forget(request.NamespacedName)
		return ctrl.Result{}, nil
	}
	memory := r.memories.of(request.NamespacedName, service.UID)
	defer func() { r.memories.keep(request.NamespacedName, memory) }()
	if behind(service.ResourceVersion, memory.wrote) {
		return ctrl.Result{RequeueAfter: r.Options.pace()}, nil
	}
	memory.wrote = ""
	wait, err := r.look(ctx, service, memory)
	return ctrl.Result{RequeueAfter: wait}, err
}

// leftOut are Services that are on their way out, and Switchyard's own: those
// that hold ports for reservations, which nobody is to connect to, and those of
// its install tree.
func (r *DiagnosisReconciler) leftOut(service *corev1.Service) bool {
	own := service.Namespace == r.Options.Namespace && (placeholder.IsPorts(service) || strings.HasPrefix(service.Name, "switchyard-"))
	return service.DeletionTimestamp != nil || own
}

// look examines a Service, writes what has lasted, and returns when to look again.
func (r *DiagnosisReconciler) look(ctx context.Context, service *corev1.Service, memory *diagnosisMemory) (time.Duration, error) {
	facts, err := r.facts(ctx, service, memory)
	if err != nil {
		return 0, err
	}
	report := diagnosis.Examine(facts)
	there := service.Status.Conditions
	memory.flaps.forget(there, facts.Now, r.Options.Grace)
	result := findTransitions(there, memory.ours(there, diagnosis.Conditions(report)), memory.since, memory.flaps, facts.Now, r.Options.Grace)
	if len(result.changed) > 0 {
		if wait := r.turn(service, result.changed, memory, facts.Now); wait > 0 {
			memory.since = result.since
			return wait, nil
		}
		switch err := r.write(ctx, service, facts, result, memory); {
		case errors.Is(err, errLookAgain):
			return r.Options.pace(), nil
		case err != nil:
			return 0, err
		}
	}
	memory.since, memory.turn = result.since, time.Time{}
	memory.flaps.note(result.changed, facts.Now, r.Options.Grace)
	return sooner(result.wait, nextLook(facts, report)), nil
}

func (r *DiagnosisReconciler) write(ctx context.Context, service *corev1.Service, facts *diagnosis.Facts, result transitions, memory *diagnosisMemory) error {
	if err := r.complete(facts, result); err != nil {
		return err
	}
	if err := r.writes.Wait(ctx); err != nil {
		return nil //nolint:nilerr // the manager stops
	}
	for _, t := range result.changed {
		written := conditionOf(result.write, t.after.Type)
		written.Message, written.ObservedGeneration = t.after.Message, service.Generation
	}
	if err := r.apply(ctx, service, result.write, memory); err != nil {
		return err
	}
	for _, t := range result.changed {
		diagnosisTransitions.WithLabelValues(t.after.Type, string(t.after.Status)).Inc()
	}
	r.tell(service, result)
	return nil
}

// complete gives the messages that are written what takes long to find, and is not
// looked for as long as nothing is written: which pods a selector was meant for.
func (r *DiagnosisReconciler) complete(facts *diagnosis.Facts, result transitions) (err error) {
	if facts.Others, err = r.caches.others(facts); err != nil || len(facts.Others) == 0 {
		return err
	}
	better := diagnosis.Conditions(diagnosis.Examine(facts))
	for i := range result.changed {
		after := &result.changed[i].after
		if found := conditionOf(better, after.Type); found != nil && found.Status == after.Status && found.Reason == after.Reason {
			after.Message = found.Message
		}
	}
	return nil
}
