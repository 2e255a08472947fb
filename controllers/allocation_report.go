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

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
)

// Reasons of Events, as the API server's own repair loops name them.
const (
	reasonAddrTaken      = "ClusterIPAlreadyAllocated"
	reasonAddrOutOfRange = "ClusterIPOutOfRange"
	reasonAddrMissing    = "ClusterIPNotAllocated"
	reasonAddrReference  = "IPAddressWrongReference"
	reasonAddrLeaked     = "IPAddressNotAllocated"
	reasonPortTaken      = "PortAlreadyAllocated"
	reasonPortOutOfRange = "PortOutOfRange"
	reasonPortMissing    = "PortNotAllocated"
)

// situation is one thing that is wrong. It is reported when it begins, and not
// again while it lasts.
type situation struct {
	uid    types.UID
	reason string
	number allocator.Number
	other  allocator.Holder // none when out of range
}

// report writes an Event for each new situation of a Service, and returns the
// Services it shares a number with, or did when it was last reported. Ports that it
// no longer shares with anybody are left to be probed.
func (r *AllocationReconciler) report(ctx context.Context, key types.NamespacedName) []types.NamespacedName {
	holder, problems := r.Index.Problems(key)
	begun, ended, partners := r.remember(key, situationsOf(holder, problems))
	for _, s := range begun {
		allocationProblems.WithLabelValues(s.reason).Inc()
		r.Recorder.Eventf(serviceRef(key, s.uid), s.related(key.Namespace), corev1.EventTypeWarning, s.reason, "Allocate", "%s", r.describe(ctx, s, holder))
	}
	for _, s := range ended {
		r.probeLater(s)
	}
	return partners
}

// remember replaces what is known of a Service and tells what is new in it, and
// what is over.
func (r *AllocationReconciler) remember(key types.NamespacedName, now []situation) (begun, ended []situation, partners []types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.reported[key]
	current := make(map[situation]bool, len(now))
	met := map[types.NamespacedName]bool{}
	for _, s := range now {
		if !before[s] && !current[s] {
			begun = append(begun, s)
		}
		current[s] = true
		met[s.other.Service] = true
	}
	for s := range before {
		met[s.other.Service] = true
		if !current[s] {
			ended = append(ended, s)
		}
	}
	delete(met, types.NamespacedName{})
	for partner := range met {
		partners = append(partners, partner)
	}
	r.store(key, current)
	return begun, ended, partners
}

func (r *AllocationReconciler) store(key types.NamespacedName, current map[situation]bool) {
	if len(current) == 0 {
		delete(r.reported, key)
		return
	}
	if r.reported == nil {
		r.reported = map[types.NamespacedName]map[situation]bool{}
	}
	r.reported[key] = current
}

func situationsOf(holder allocator.Holder, problems []allocator.Problem) []situation {
	var found []situation
	for _, p := range problems {
		if p.OutOfRange() {
			found = append(found, situation{uid: holder.UID, reason: reasonFor(p.Number, reasonAddrOutOfRange, reasonPortOutOfRange), number: p.Number})
		}
		for _, other := range p.Others {
			found = append(found, situation{uid: holder.UID, reason: reasonFor(p.Number, reasonAddrTaken, reasonPortTaken), number: p.Number, other: other})
		}
	}
	return found
}

func reasonFor(n allocator.Number, addr, port string) string {
	if n.IsPort() {
		return port
	}
	return addr
}

// describe is read by the users of the Service's namespace, so that it names no
// Service of another one, and numbers that they could have.
func (r *AllocationReconciler) describe(ctx context.Context, s situation, holder allocator.Holder) string {
	what := "ClusterIP"
	if s.number.IsPort() {
		what = "Port"
	}
	if s.other.Service.Name == "" {
		return fmt.Sprintf("%s %s is not in %s: recreate the Service or the range to get one that is", what, s.number, r.Index.RangeOf(s.number))
	}
	other := serviceFor(holder.Service.Namespace, s.other.Service)
	if s.keeps(holder) {
		return fmt.Sprintf("%s %s is also held by %s, which is younger and should choose another", what, s.number, other)
	}
	return fmt.Sprintf("%s %s is also held by %s, which is older and keeps it: choose another%s",
		what, s.number, other, freeFor(ctx, r.Client, r.Index, holder.Service, s.number))
}

// keeps: the oldest holder keeps the number, the name decides between equals.
func (s situation) keeps(holder allocator.Holder) bool {
	if order := holder.Created.Compare(s.other.Created); order != 0 {
		return order < 0
	}
	return holder.Service.String() < s.other.Service.String()
}

// related is the other party of a double, nil for an Event of one Service and where
// the other is of another namespace than its readers.
func (s situation) related(reader string) runtime.Object {
	if s.other.Service.Name == "" || s.other.Service.Namespace != reader {
		return nil
	}
	return serviceRef(s.other.Service, s.other.UID)
}

// serviceAsOf is a Service in one version. client-go counts Events of one reason
// about one object together and keeps the first one's text; another version is
// another object to it, so that what is told of that has its own.
func serviceAsOf(key types.NamespacedName, uid types.UID, version string) *corev1.Service {
	ref := serviceRef(key, uid)
	ref.ResourceVersion = version
	return ref
}

func serviceRef(key types.NamespacedName, uid types.UID) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, UID: uid},
	}
}
