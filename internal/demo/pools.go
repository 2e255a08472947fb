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

package demo

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// pooled is the namespace that the pools of the samples select.
const pooled = "demo-red"

var poolChecks = []Check{
	{"pools are ready, reserved numbers are held", poolsReady},
	{"a reserved NodePort is denied to others", reservedDenied},
	{"a Service gets numbers of its pools", fromPool},
	{"a Service gets what is reserved for it, twice", reservedGiven},
}

// objectStatus reads what an object of our API says of itself.
func (b *Bed) objectStatus(ctx context.Context, kind, name string) (phase string, conditions map[string]string, err error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	if err := b.Client.Get(ctx, client.ObjectKey{Name: name}, object); err != nil {
		return "", nil, err
	}
	phase, _, _ = unstructured.NestedString(object.Object, "status", "phase")
	list, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	conditions = map[string]string{}
	for _, item := range list {
		c := item.(map[string]any)
		conditions[fmt.Sprint(c["type"])] = fmt.Sprint(c["status"])
	}
	return phase, conditions, nil
}

func poolsReady(ctx context.Context, b *Bed) (string, error) {
	for _, kind := range []string{"PortPool", "AddressPool"} {
		err := b.eventually(ctx, func() error {
			_, conditions, err := b.objectStatus(ctx, kind, pooled)
			if err == nil && conditions[v1alpha1.ConditionReady] != "True" {
				err = fmt.Errorf("%s %s is not ready: %v", kind, pooled, conditions)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return "30055 and 10.96.0.199 are Reserved or Bound", errors.Join(
		b.phase(ctx, "PortReservation", "30055", v1alpha1.ReservationReserved, v1alpha1.ReservationBound),
		b.phase(ctx, "AddressReservation", "10.96.0.199", v1alpha1.ReservationReserved, v1alpha1.ReservationBound))
}

// phase waits until a reservation is in one of these.
func (b *Bed) phase(ctx context.Context, kind, name string, want ...v1alpha1.ReservationPhase) error {
	return b.eventually(ctx, func() error {
		phase, conditions, err := b.objectStatus(ctx, kind, name)
		if err == nil && !slices.Contains(want, v1alpha1.ReservationPhase(phase)) {
			err = fmt.Errorf("%s %s is %s (%v), want one of %v", kind, name, phase, conditions, want)
		}
		return err
	})
}

func reservedDenied(ctx context.Context, b *Bed) (string, error) {
	err := b.apply(ctx, "later/reserved-nodeport.yaml")
	if err == nil {
		return "", errors.New("it was accepted")
	}
	_, reason, found := strings.Cut(err.Error(), "reserved for Service demo-red/web (PortReservation 30055)")
	if !found {
		return "", fmt.Errorf("the message does not say for whom it is reserved: %w", err)
	}
	return "reserved for Service demo-red/web" + reason, nil
}

func (b *Bed) pooledService(ctx context.Context, name string) (*corev1.Service, error) {
	var s corev1.Service
	err := b.Client.Get(ctx, client.ObjectKey{Namespace: pooled, Name: name}, &s)
	return &s, err
}

func fromPool(ctx context.Context, b *Bed) (string, error) {
	if err := b.apply(ctx, "later/pooled.yaml"); err != nil {
		return "", err
	}
	s, err := b.pooledService(ctx, "any")
	if err != nil {
		return "", err
	}
	port, ip := s.Spec.Ports[0].NodePort, s.Spec.ClusterIP
	if port < 30050 || port > 30057 || !netip.MustParsePrefix("10.96.0.192/28").Contains(netip.MustParseAddr(ip)) {
		return "", fmt.Errorf("it has %d and %s, want one of 30050-30057 and one of 10.96.0.192/28", port, ip)
	}
	return fmt.Sprintf("any has %d and %s", port, ip), nil
}

// reservedGiven looks, deletes the Service and makes it anew.
func reservedGiven(ctx context.Context, b *Bed) (string, error) {
	for round := range 2 {
		s, err := b.pooledService(ctx, "web")
		if err != nil {
			return "", err
		}
		if port, ip := s.Spec.Ports[0].NodePort, s.Spec.ClusterIP; port != 30055 || ip != "10.96.0.199" {
			return "", fmt.Errorf("it has %d and %s, want 30055 and 10.96.0.199", port, ip)
		}
		err = errors.Join(
			b.phase(ctx, "PortReservation", "30055", v1alpha1.ReservationBound),
			b.phase(ctx, "AddressReservation", "10.96.0.199", v1alpha1.ReservationBound))
		if err != nil || round == 1 {
			return "web has 30055 and 10.96.0.199, before and after its deletion", err
		}
		if err := b.Client.Delete(ctx, s); err != nil {
			return "", err
		}
		err = errors.Join(
			b.phase(ctx, "PortReservation", "30055", v1alpha1.ReservationReserved),
			b.phase(ctx, "AddressReservation", "10.96.0.199", v1alpha1.ReservationReserved),
			b.apply(ctx, "later/pooled.yaml"))
		if err != nil {
			return "", err
		}
	}
	return "", nil
}
