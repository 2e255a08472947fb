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
	"k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

const reasonReservationConflicted = "ReservationConflicted"

// reportConflict says on both sides that a number is kept for one and held by
// another. An Event is read by whoever may read those of its namespace, so it names
// no Service of another one; the reservation itself has both names. Who uses an
// address that no object holds has it from a load balancer, or wrote it, and is
// told nothing.
func (r *reservations) reportConflict(ctx context.Context, object client.Object, facts *reservationFacts) {
	if len(facts.holders) > 0 && facts.outside == "" {
		holder := facts.holders[0]
		r.recorder.Eventf(serviceRef(holder.Service, holder.UID), object, corev1.EventTypeWarning, reasonReservationConflicted, "Reserve",
			"%s is reserved for %s (%s %s), but this Service has it and keeps it: choose another where that is wrong%s",
			facts.Number, facts.reservedFor(holder.Service.Namespace), facts.Kind(), facts.Object, freeFor(ctx, r.client, r.index, holder.Service, facts.Number))
	}
	r.recorder.Eventf(object, nil, corev1.EventTypeWarning, reasonReservationConflicted, "Reserve",
		"%s is held by somebody else, who keeps it: the condition Held says who; it is held for its own Service once that is over", facts.Number)
}

// reservedFor names whom the number is for to the users of a namespace.
func (f *reservationFacts) reservedFor(reader string) string {
	if f.Service.Name == "" {
		return "nobody"
	}
	return serviceFor(reader, f.Service)
}

// serviceFor names a Service to the users of a namespace.
func serviceFor(reader string, service client.ObjectKey) string {
	if service.Namespace == reader {
		return "Service " + service.String()
	}
	return "a Service of another namespace"
}

// freeFor names free numbers of a Service that is to choose another one: those of
// its pools. It names none where these are not known.
func freeFor(ctx context.Context, reader client.Reader, index *allocator.Services, key client.ObjectKey, number allocator.Number) string {
	var service corev1.Service
	namespace, err := namespaceLabels(ctx, reader, key.Namespace)
	if err == nil {
		err = reader.Get(ctx, key, &service)
	}
	if err != nil {
		ctrl.LoggerFrom(ctx).V(2).Info("Names no free numbers", "service", key, "reason", err.Error())
		return ""
	}
	return ", " + index.FreeFor(number, namespace, service.Labels)
}

// namespaceLabels reads the labels of a namespace; none of one that is not there.
func namespaceLabels(ctx context.Context, reader client.Reader, name string) (labels.Set, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := reader.Get(ctx, client.ObjectKey{Name: name}, namespace); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the labels of namespace %s: %w", name, err)
	}
	return namespace.Labels, nil
}
