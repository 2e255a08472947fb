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

package audit

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
)

// Severity says how bad it is.
type Severity string

// The severities.
const (
	// Error is traffic that goes wrong, or a number that can be given away twice.
	Error Severity = "error"
	// Warning is what is not as somebody meant it to be.
	Warning Severity = "warning"
)

// Kind is what is wrong. The names are stable.
type Kind string

// The kinds of findings, in the order in which they are reported.
const (
	// NumberHeldTwice is a ClusterIP or port that several Services hold.
	NumberHeldTwice Kind = "NumberHeldTwice"
	// FrontendHeldTwice is an address, port and protocol that several Services
	// answer, one of them by an external IP or that of a load balancer.
	FrontendHeldTwice Kind = "FrontendHeldTwice"
	// EndpointOfOthers is an endpoint that is a pod of another namespace.
	EndpointOfOthers Kind = "EndpointOfOthers"
	// ReservedNumberTaken is held by a Service it is not reserved for.
	ReservedNumberTaken Kind = "ReservedNumberTaken"
	// NumberOutOfRange lies in no range of the API server.
	NumberOutOfRange Kind = "NumberOutOfRange"
	// NumberInForeignPool is held by a Service that its pool is not for.
	NumberInForeignPool Kind = "NumberInForeignPool"
	// IPAddressMissing is a ClusterIP that the API server does not know as given.
	IPAddressMissing Kind = "IPAddressMissing"
	// IPAddressWrongReference names another than the Service that has the address.
	IPAddressWrongReference Kind = "IPAddressWrongReference"
	// IPAddressOrphan is for a Service that does not have the address.
	IPAddressOrphan Kind = "IPAddressOrphan"
	// PlaceholderForNothing holds a number for no reservation.
	PlaceholderForNothing Kind = "PlaceholderForNothing"
	// ClaimForNothing is a claim that its request has outlived.
	ClaimForNothing Kind = "ClaimForNothing"
	// ReservationNotHeld can be given to anybody while the webhook is away.
	ReservationNotHeld Kind = "ReservationNotHeld"
	// ReservationOutOfRange is of a port that the API server never gives.
	ReservationOutOfRange Kind = "ReservationOutOfRange"
	// RangeFull is a range of the API server without a free number.
	RangeFull Kind = "RangeFull"
	// PoolFull is a pool without a free number, which gives numbers by itself.
	PoolFull Kind = "PoolFull"
	// PoolConflict is a pool that overlaps with one that has precedence.
	PoolConflict Kind = "PoolConflict"
	// PoolOutOfRange is a pool with numbers that the API server never gives.
	PoolOutOfRange Kind = "PoolOutOfRange"
	// ObjectUnreadable is a pool, reservation or claim that makes no sense.
	ObjectUnreadable Kind = "ObjectUnreadable"
)

// Kinds lists all kinds of findings, in order.
func Kinds() []Kind {
	return []Kind{
		NumberHeldTwice, FrontendHeldTwice, EndpointOfOthers, ReservedNumberTaken, NumberOutOfRange, NumberInForeignPool,
		IPAddressMissing, IPAddressWrongReference, IPAddressOrphan, PlaceholderForNothing, ClaimForNothing,
		ReservationNotHeld, ReservationOutOfRange, RangeFull, PoolFull, PoolConflict, PoolOutOfRange, ObjectUnreadable,
	}
}

// Finding is one thing that is wrong.
type Finding struct {
	Severity Severity `json:"severity"`
	Kind     Kind     `json:"kind"`
	// Number is the address, port, frontend or range that it is about.
	Number string `json:"number,omitempty"`
	// Objects are those concerned, of several holders the oldest first.
	Objects []Object `json:"objects"`
	// Message says what is wrong, Remedy what to do about it.
	Message string `json:"message"`
	Remedy  string `json:"remedy"`

	number allocator.Number
}

// About tells whether the finding is about this number.
func (f Finding) About(n allocator.Number) bool { return !n.IsZero() && f.number == n }

// Object is one that a finding is about.
type Object struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String is KIND NAMESPACE/NAME.
func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

// Service is the object of a Service.
func Service(key types.NamespacedName) Object {
	return Object{Kind: "Service", Namespace: key.Namespace, Name: key.Name}
}

func services[T any](holders []T, name func(T) types.NamespacedName) []Object {
	objects := make([]Object, 0, len(holders))
	for _, h := range holders {
		objects = append(objects, Service(name(h)))
	}
	return slices.Compact(objects)
}

// Texts are the objects' names, with "and" before the last.
func Texts(objects []Object) string {
	texts := make([]string, 0, len(objects))
	for _, o := range objects {
		texts = append(texts, o.String())
	}
	if last := len(texts) - 1; last > 0 {
		return strings.Join(texts[:last], ", ") + " and " + texts[last]
	}
	return strings.Join(texts, "")
}

// order is by severity, kind, number and objects.
func (f Finding) order(other Finding) int {
	return cmp.Or(
		cmp.Compare(f.Severity, other.Severity), // error comes before warning in the alphabet, too
		cmp.Compare(slices.Index(Kinds(), f.Kind), slices.Index(Kinds(), other.Kind)),
		f.number.Compare(other.number),
		cmp.Compare(f.Number, other.Number),
		cmp.Compare(Texts(f.Objects), Texts(other.Objects)),
	)
}

// what names the field of a Service that a number is in.
func what(n allocator.Number) string {
	if n.IsPort() {
		return "port " + n.String()
	}
	return "ClusterIP " + n.String()
}

// fieldOf names it by the kind of holding.
func fieldOf(kind allocator.Kind) string {
	switch kind {
	case allocator.NodePort:
		return "nodePort"
	case allocator.HealthCheckNodePort:
		return "healthCheckNodePort"
	}
	return "clusterIP"
}

// terminating tells a Service that is going away anyway.
func terminating(service *corev1.Service) bool { return !service.DeletionTimestamp.IsZero() }
