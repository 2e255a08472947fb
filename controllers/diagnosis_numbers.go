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
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/audit"
)

const (
	// numbersSettle is the time between the two looks that a finding has to last for:
	// the caches of the kinds are not of one moment.
	numbersSettle = 5 * time.Second
	// numbersShare bounds the part of a processor that looks take, all Services being
	// gone through each time: the rest is this many times as long as a look.
	numbersShare = 50
	// numbersPace is the longest time between two looks.
	numbersPace = 10 * time.Minute
)

// numberAudit keeps what is wrong with the numbers of each Service, as `switchyard
// audit` finds it. All Services are looked at together, soon after one number or
// more have changed, because a double has two sides.
type numberAudit struct {
	client client.Reader
	// system is the namespace of placeholders.
	system string
	span   allocator.PortSpan
	// servicesOnly leaves out the kinds that nothing else in the manager watches.
	servicesOnly bool
	now          func() time.Time

	// ready is closed when findings are complete for the first time.
	ready    chan struct{}
	complete sync.Once
	// changed has the Services whose findings have changed.
	changed chan event.TypedGenericEvent[types.NamespacedName]

	looked   bool
	previous audit.Report
	next     time.Time // no look before

	mu    sync.Mutex
	found map[types.NamespacedName][]audit.Finding
}

func newNumberAudit(options DiagnosisOptions, reader client.Reader) *numberAudit {
	return &numberAudit{
		client: reader, system: options.Namespace, span: options.NodePorts, servicesOnly: !options.Allocation, now: time.Now,
		ready: make(chan struct{}), changed: make(chan event.TypedGenericEvent[types.NamespacedName], 100),
	}
}

func (a *numberAudit) setup(mgr ctrl.Manager) error {
	watching := ctrl.NewControllerManagedBy(mgr).Named("diagnosis-numbers").
		Watches(&corev1.Service{}, soon, builder.WithPredicates(numbersChange()))
	if !a.servicesOnly {
		for _, object := range []client.Object{&networkingv1.ServiceCIDR{}, &networkingv1.IPAddress{}, &v1alpha1.PortPool{}, &v1alpha1.AddressPool{},
			&v1alpha1.PortReservation{}, &v1alpha1.AddressReservation{}} {
			watching = watching.Watches(object, soon)
		}
	}
	return watching.Complete(a)
}

// numbersChange leaves out what happens to Services all day: their conditions.
func numbersChange() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, isService := e.ObjectOld.(*corev1.Service)
		after, is := e.ObjectNew.(*corev1.Service)
		return !isService || !is || !equality.Semantic.DeepEqual(before.Spec, after.Spec) ||
			!equality.Semantic.DeepEqual(before.Status.LoadBalancer, after.Status.LoadBalancer) ||
			!equality.Semantic.DeepEqual(before.Labels, after.Labels) || before.UID != after.UID
	}}
}

// Reconcile looks at all numbers.
func (a *numberAudit) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	started := a.now()
	if wait := a.next.Sub(started); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	inv, err := a.read(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	report := ofServices(audit.Run(inv.Index(), started))
	lasting := report.Confirm(a.previous)
	a.previous = report
	settled := len(lasting.Findings) == len(report.Findings)
	a.publish(ctx, lasting)
	if settled || a.looked {
		a.complete.Do(func() { close(a.ready) })
	}
	a.looked = true
	ended := a.now()
	a.next = ended.Add(numbersShare * ended.Sub(started))
	if !settled {
		return ctrl.Result{RequeueAfter: max(numbersSettle, a.next.Sub(ended))}, nil
	}
	return ctrl.Result{RequeueAfter: numbersPace}, nil
}
