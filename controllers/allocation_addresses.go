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
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"switchyard.dev/switchyard/allocator"
)

// +kubebuilder:rbac:groups=networking.k8s.io,resources=ipaddresses,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// addressGrace is how long something has to look wrong before it is looked at
// past the caches: the two watches bring a Service and its IPAddress in any order.
const addressGrace = 5 * time.Second

// addressReconciler compares ClusterIPs with the API server's own record of them,
// the IPAddresses. It only reports: the API server repairs what it can.
type addressReconciler struct {
	client   client.Client
	live     client.Reader
	index    *allocator.Services
	recorder events.EventRecorder
	now      func() time.Time

	mu sync.Mutex
	// suspected is since when an address has looked wrong, reported what was said
	// of it. A restart forgets both, and says it once more.
	suspected map[string]time.Time
	reported  map[string]string
}

func (r *addressReconciler) setup(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("allocation-addresses").
		For(&networkingv1.IPAddress{}).
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(toItsAddresses)).
		Complete(r)
}

// toItsAddresses leads from a Service to the IPAddresses of its ClusterIPs.
func toItsAddresses(_ context.Context, object client.Object) []reconcile.Request {
	service, ok := object.(*corev1.Service)
	if !ok {
		return nil
	}
	var requests []reconcile.Request
	for _, holding := range allocator.HoldingsOf(service) {
		if holding.Kind == allocator.ClusterIP {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: holding.Number.String()}})
		}
	}
	return requests
}

// Reconcile looks at one address.
func (r *addressReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	addr, err := netip.ParseAddr(request.Name)
	if err != nil {
		return ctrl.Result{}, nil // the schema allows no such name
	}
	if !r.index.Ready() {
		return ctrl.Result{RequeueAfter: time.Second}, nil
	}
	number := allocator.AddrNumber(addr)
	facts, err := r.observe(ctx, r.client, number, r.index.Holders(number))
	if err != nil {
		return ctrl.Result{}, err
	}
	finding := facts.find()
	if finding.reason == "" {
		r.clear(request.Name)
		return ctrl.Result{RequeueAfter: facts.untilLeak()}, nil
	}
	if wait := r.suspect(request.Name); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	// The Services that are known now had the address before the IPAddress is read;
	// if they still have it after that, no request under way explains the difference.
	if facts, err = r.observe(ctx, r.live, number, r.index.Holders(number)); err != nil {
		return ctrl.Result{}, err
	}
	if finding = facts.find(); finding.reason == "" {
		r.clear(request.Name)
		return ctrl.Result{}, nil
	}
	r.report(facts, finding)
	return ctrl.Result{}, nil
}

// observe reads the IPAddress first, then the Services that may have the address.
func (r *addressReconciler) observe(ctx context.Context, reader client.Reader, number allocator.Number, candidates []allocator.Holder) (addressFacts, error) {
	facts := addressFacts{number: number, now: r.now()}
	object := &networkingv1.IPAddress{}
	switch err := reader.Get(ctx, client.ObjectKey{Name: number.String()}, object); {
	case err == nil:
		facts.object = object
	case !apierrors.IsNotFound(err):
		return facts, fmt.Errorf("reading IPAddress %s: %w", number, err)
	}
	for _, holder := range candidates {
		service, err := lookAt(ctx, reader, r.index, holder.Service)
		if err != nil {
			return facts, err
		}
		if service != nil && service.UID == holder.UID && holds(service, number) {
			facts.users = append(facts.users, holder)
		}
	}
	if facts.object == nil {
		return facts, nil
	}
	key, ok := parentService(facts.object)
	if !ok {
		return facts, nil
	}
	service, err := lookAt(ctx, reader, r.index, key)
	if err != nil || service == nil {
		return facts, err
	}
	parent := allocator.Holder{Kind: allocator.ClusterIP, Service: key, UID: service.UID, Created: service.CreationTimestamp.Time}
	facts.parent = &parent
	// The index may have yet to hear of what has just been read.
	if !slices.ContainsFunc(facts.users, func(h allocator.Holder) bool { return h.UID == parent.UID }) && holds(service, number) {
		facts.users = append(facts.users, parent)
	}
	return facts, nil
}

func holds(service *corev1.Service, number allocator.Number) bool {
	return slices.ContainsFunc(allocator.HoldingsOf(service), func(h allocator.Holding) bool { return h.Number == number })
}

// lookAt reads a Service, nil when there is none, and tells the index, which hears
// of it from the same watch, but perhaps later than we do. That there is none may
// be what a cache says that is behind: the index has it from the watch alone.
func lookAt(ctx context.Context, reader client.Reader, index *allocator.Services, key types.NamespacedName) (*corev1.Service, error) {
	before := index.Glimpse(key)
	var service corev1.Service
	switch err := reader.Get(ctx, key, &service); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading Service %s: %w", key, err)
	}
	index.ObserveRead(&service, before)
	return &service, nil
}

// untilLeak is when an IPAddress that names no user will count as leaked.
func (f addressFacts) untilLeak() time.Duration {
	if f.object == nil || len(f.users) > 0 || f.object.Labels[networkingv1.LabelManagedBy] != serverManagedBy {
		return 0
	}
	return f.object.CreationTimestamp.Add(addressLeakAge+time.Second).Sub(f.now) + time.Millisecond
}

// suspect remembers that an address looks wrong; zero when it has for long enough.
func (r *addressReconciler) suspect(name string) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, known := r.suspected[name]
	if !known {
		if r.suspected == nil {
			r.suspected = map[string]time.Time{}
		}
		since = r.now()
		r.suspected[name] = since
	}
	return since.Add(addressGrace).Sub(r.now())
}

func (r *addressReconciler) clear(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.suspected, name)
	delete(r.reported, name)
}

// report says what is wrong to everybody concerned, once while it lasts.
func (r *addressReconciler) report(facts addressFacts, finding addressFinding) {
	name := facts.number.String()
	r.mu.Lock()
	said := fmt.Sprint(finding.reason, finding.concerned)
	repeated := r.reported[name] == said
	if r.reported == nil {
		r.reported = map[string]string{}
	}
	r.reported[name] = said
	r.mu.Unlock()
	if repeated {
		return
	}
	allocationProblems.WithLabelValues(finding.reason).Inc()
	address := &networkingv1.IPAddress{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "IPAddress"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
	}
	if facts.object != nil {
		address.UID = facts.object.UID
	}
	if len(finding.concerned) == 0 {
		r.recorder.Eventf(address, nil, corev1.EventTypeWarning, finding.reason, "Repair", "%s", finding.text(""))
	}
	for _, holder := range finding.concerned {
		text := finding.text(holder.Service.Namespace)
		r.recorder.Eventf(serviceRef(holder.Service, holder.UID), address, corev1.EventTypeWarning, finding.reason, "Repair", "%s", text)
	}
}
