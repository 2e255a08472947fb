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
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// retainPlan is what has to be written so that the reservations of a Service are
// those that its annotation asks for.
type retainPlan struct {
	create, update, remove []client.Object
	wanted                 int // numbers in all
}

// retainWish is what a Service asks for.
type retainWish struct {
	service *corev1.Service
	retain  v1alpha1.Retain
	// shared are addresses of load balancers that other Services have as well.
	// Reserved for one of them, they would be refused to the others.
	shared []allocator.Number
}

// wants tells whether anything is to be retained.
func (w retainWish) wants() bool { return w.retain != "" && w.retain != v1alpha1.RetainDelete }

// planRetain compares the numbers of a Service that lives with its reservations.
// The reservations are all that name it, in no order; those that nobody labelled
// as made for the annotation are left as they are.
//
//	annotation              number                              reservation
//	Retain, a duration      held, not reserved                  made
//	Retain, a duration      held, reserved by us otherwise      follows
//	Retain, a duration      given up by this very Service       goes
//	any                     held, with another Service          goes, is not made
//	none, Delete            held or given up by this Service    goes
//	any                     of an earlier Service of that name  stays, as its own retain says
func planRetain(wish retainWish, ports []v1alpha1.PortReservation, addresses []v1alpha1.AddressReservation) retainPlan {
	service := wish.service
	wantedPorts, wantedAddresses := wish.reservations()
	plan := retainPlan{wanted: len(wantedPorts) + len(wantedAddresses)}
	for i := range ports {
		now := &ports[i]
		want, wanted := wantedPorts[now.Name]
		delete(wantedPorts, now.Name)
		switch {
		case !isRetained(now):
		case !wanted && madeFor(service, now.Status, now.CreationTimestamp):
			plan.remove = append(plan.remove, now)
		case wanted && !samePort(now.Spec, want.Spec):
			next := now.DeepCopy()
			next.Spec = want.Spec
			plan.update = append(plan.update, next)
		}
	}
	for i := range addresses {
		now := &addresses[i]
		want, wanted := wantedAddresses[now.Name]
		delete(wantedAddresses, now.Name)
		switch {
		case !isRetained(now):
		case !wanted && madeFor(service, now.Status, now.CreationTimestamp):
			plan.remove = append(plan.remove, now)
		case wanted && now.Spec.Retain != want.Spec.Retain:
			next := now.DeepCopy()
			next.Spec.Retain = want.Spec.Retain
			plan.update = append(plan.update, next)
		}
	}
	for _, want := range wantedPorts {
		plan.create = append(plan.create, want)
	}
	for _, want := range wantedAddresses {
		plan.create = append(plan.create, want)
	}
	slices.SortFunc(plan.create, func(a, b client.Object) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return plan
}

// madeFor tells whether a reservation was made for, or is bound to, this Service
// and not one of the same name before it, which nobody may be told has given
// something up.
func madeFor(service *corev1.Service, status v1alpha1.ReservationStatus, created metav1.Time) bool {
	if status.ServiceUID != "" {
		return status.ServiceUID == service.UID
	}
	return !created.Before(&service.CreationTimestamp)
}

// reservations are by name those that the annotation asks for.
func (w retainWish) reservations() (map[string]*v1alpha1.PortReservation, map[string]*v1alpha1.AddressReservation) {
	service, retain := w.service, w.retain
	ports, addresses := map[string]*v1alpha1.PortReservation{}, map[string]*v1alpha1.AddressReservation{}
	if keep, forever, err := parseRetain(retain); err != nil || keep == 0 && !forever {
		return ports, addresses
	}
	ref := &v1alpha1.ServiceReference{Namespace: service.Namespace, Name: service.Name}
	meta := func(number allocator.Number) metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Name:        number.ReservationName(),
			Labels:      map[string]string{v1alpha1.RetainedLabel: "true"},
			Annotations: map[string]string{v1alpha1.RetainedForAnnotation: service.Namespace + "/" + service.Name},
		}
	}
	address := func(number allocator.Number) {
		addresses[number.ReservationName()] = &v1alpha1.AddressReservation{
			ObjectMeta: meta(number),
			Spec:       v1alpha1.AddressReservationSpec{Address: number.String(), ServiceRef: ref, Retain: retain},
		}
	}
	for _, holding := range allocator.HoldingsOf(service) {
		if holding.Kind == allocator.ClusterIP {
			address(holding.Number)
			continue
		}
		spec := v1alpha1.PortReservationSpec{ServiceRef: ref, Retain: retain, HealthCheck: holding.Kind == allocator.HealthCheckNodePort}
		if !spec.HealthCheck {
			spec.PortNames = portNames(service, holding.Number.Port)
		}
		ports[holding.Number.ReservationName()] = &v1alpha1.PortReservation{ObjectMeta: meta(holding.Number), Spec: spec}
	}
	// External IPs come from whoever writes the Service, who has them again.
	for _, number := range loadBalancerIPs(service) {
		if !slices.Contains(w.shared, number) {
			address(number)
		}
	}
	return ports, addresses
}

// portNames are the names of the ports that have the NodePort; none for the only
// port of a Service, which may be without a name now and have one next time.
func portNames(service *corev1.Service, nodePort int32) []string {
	var names []string
	for _, port := range service.Spec.Ports {
		if port.NodePort == nodePort && port.Name != "" {
			names = append(names, port.Name)
		}
	}
	if len(service.Spec.Ports) == 1 {
		return nil
	}
	slices.Sort(names)
	return names
}

func samePort(a, b v1alpha1.PortReservationSpec) bool {
	return a.Retain == b.Retain && a.HealthCheck == b.HealthCheck && slices.Equal(slices.Sorted(slices.Values(a.PortNames)), b.PortNames)
}
