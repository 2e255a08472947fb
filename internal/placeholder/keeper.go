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

package placeholder

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// addressAttempts is more than it takes to find a free address, as long as the
// index knows most of those that are not.
const addressAttempts = 8

// Keeper writes placeholders: it creates and deletes them, and updates none. It
// has no memory and no locks of its own: several may work on the same numbers, and
// what each finds done already is success.
type Keeper struct {
	// Client writes; its reads may be of a cache.
	Client client.Client
	// Live reads past every cache.
	Live client.Reader
	// Namespace is where the Services that hold ports are: the manager's own.
	Namespace string
	// SpareAddr chooses the ClusterIP of a Service that is to hold a port. The API
	// server draws it where this is nil or chooses none.
	SpareAddr func(context.Context, *corev1.Service) (netip.Addr, error)
}

// Hold makes the API server refuse the numbers to everybody. An address must lie
// in a ServiceCIDR; anywhere else the IPAddress would hold nothing. Errors are
// joined: *TakenError where somebody else has a number, ErrOutOfRange, ErrNoAddress,
// or what the API server said; the other numbers are held all the same.
func (k *Keeper) Hold(ctx context.Context, reservations []allocator.Reservation) error {
	var errs []error
	for _, reservation := range reservations {
		if k.seen(ctx, reservation.Number) {
			continue
		}
		if reservation.Number.IsPort() {
			errs = append(errs, k.holdPort(ctx, reservation.Number))
		} else {
			errs = append(errs, k.holdAddress(ctx, reservation))
		}
	}
	return errors.Join(errs...)
}

// Release lets the API server give the number to whoever asks, if it is held
// here. What others hold stays theirs.
func (k *Keeper) Release(ctx context.Context, number allocator.Number) error {
	var err error
	if number.IsPort() {
		err = k.releasePort(ctx, number)
	} else {
		err = k.releaseAddress(ctx, number)
	}
	if err != nil {
		return fmt.Errorf("releasing %s: %w", number, err)
	}
	return nil
}

// Vacate deletes a Service that holds a port, because its own ClusterIP is wanted
// for somebody else. The port is free until it is held again.
func (k *Keeper) Vacate(ctx context.Context, key client.ObjectKey) error {
	service := &corev1.Service{}
	err := k.Live.Get(ctx, key, service)
	if apierrors.IsNotFound(err) || err == nil && !IsPorts(service) {
		return nil
	}
	if err == nil {
		err = gone(k.Client.Delete(ctx, service, client.Preconditions{UID: &service.UID}))
	}
	if err != nil {
		return fmt.Errorf("vacating the ClusterIP of %s: %w", key, err)
	}
	return nil
}

// Holds tells whether the number is held here, as far as Client knows.
func (k *Keeper) Holds(ctx context.Context, number allocator.Number) (bool, error) {
	return k.holds(ctx, k.Client, number)
}

// List lists the numbers that are held here, as far as Client knows.
func (k *Keeper) List(ctx context.Context) ([]allocator.Number, error) {
	var numbers []allocator.Number
	var addresses networkingv1.IPAddressList
	if err := k.Client.List(ctx, &addresses, client.MatchingLabels{networkingv1.LabelManagedBy: ManagedBy}); err != nil {
		return nil, fmt.Errorf("listing IPAddresses that hold reserved addresses: %w", err)
	}
	for i := range addresses.Items {
		if number, ours := NumberOfAddress(&addresses.Items[i]); ours {
			numbers = append(numbers, number)
		}
	}
	var services corev1.ServiceList
	if err := k.Client.List(ctx, &services, client.InNamespace(k.Namespace), client.MatchingLabels{Label: labelValue}); err != nil {
		return nil, fmt.Errorf("listing Services that hold reserved ports: %w", err)
	}
	for i := range services.Items {
		numbers = append(numbers, NumbersOfPorts(&services.Items[i])...)
	}
	return numbers, nil
}

// seen spares the look past the cache where it shows the number as held. If that
// is old news, the watch that brings the new ones brings the caller back.
func (k *Keeper) seen(ctx context.Context, number allocator.Number) bool {
	held, err := k.Holds(ctx, number)
	return err == nil && held
}

func (k *Keeper) holds(ctx context.Context, reader client.Reader, number allocator.Number) (bool, error) {
	if number.IsPort() {
		service, err := k.portsOf(ctx, reader, number)
		return err == nil && service != nil && slices.Contains(NumbersOfPorts(service), number), err
	}
	address, err := addressOf(ctx, reader, number)
	if address == nil || err != nil {
		return false, err
	}
	_, ours := NumberOfAddress(address)
	return ours, nil
}

func (k *Keeper) holdAddress(ctx context.Context, reservation allocator.Reservation) error {
	err := k.Client.Create(ctx, Address(reservation))
	if err == nil {
		return nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("holding %s: %w", reservation.Number, err)
	}
	address, err := addressOf(ctx, k.Live, reservation.Number)
	if err != nil {
		return fmt.Errorf("holding %s: %w", reservation.Number, err)
	}
	if address == nil {
		return &TakenError{Number: reservation.Number} // by somebody who has just gone
	}
	if _, ours := NumberOfAddress(address); ours {
		return nil
	}
	return &TakenError{Number: reservation.Number, Parent: address.Spec.ParentRef}
}

func (k *Keeper) releaseAddress(ctx context.Context, number allocator.Number) error {
	address, err := addressOf(ctx, k.Live, number)
	if address == nil || err != nil {
		return err
	}
	if _, ours := NumberOfAddress(address); !ours {
		return nil
	}
	// The UID keeps us from deleting what has taken its place since.
	return gone(k.Client.Delete(ctx, address, client.Preconditions{UID: &address.UID}))
}

func (k *Keeper) holdPort(ctx context.Context, number allocator.Number) error {
	err := k.createPorts(ctx, number.Port)
	if err == nil || errors.Is(err, ErrNoAddress) {
		return err
	}
	// The port is refused before the name is. If another replica is just making
	// the same Service it is not there yet, and the port counts as taken.
	refused := portError(number, err)
	service, err := k.portsOf(ctx, k.Live, number)
	switch {
	case err != nil:
		return fmt.Errorf("holding port %s: %w", number, err)
	case service == nil:
		return refused
	case !IsPorts(service):
		return fmt.Errorf("holding port %s: Service %s/%s is not ours (label %s): delete it or give it another name",
			number, service.Namespace, service.Name, Label)
	case slices.Contains(NumbersOfPorts(service), number):
		return nil
	}
	// Somebody has changed it: the next try makes it anew.
	return errors.Join(refused, gone(k.Client.Delete(ctx, service, client.Preconditions{UID: &service.UID})))
}

// createPorts makes the Service that is to hold a port. The address chosen for it
// may be somebody's of whom we do not know yet; then another one is.
func (k *Keeper) createPorts(ctx context.Context, port int32) error {
	var err error
	for range addressAttempts {
		service := Ports(k.Namespace, port)
		if err := k.chooseAddr(ctx, service); err != nil {
			return err
		}
		if err = k.Client.Create(ctx, service); err == nil || !isAddressTaken(err) {
			break
		}
	}
	return err
}

func (k *Keeper) chooseAddr(ctx context.Context, service *corev1.Service) error {
	if k.SpareAddr == nil {
		return nil
	}
	addr, err := k.SpareAddr(ctx, service)
	switch {
	case errors.Is(err, allocator.ErrFull):
		return fmt.Errorf("%w: %w", ErrNoAddress, err)
	case err != nil:
		return fmt.Errorf("choosing the ClusterIP of Service %s/%s: %w", service.Namespace, service.Name, err)
	case addr.IsValid():
		service.Spec.ClusterIP, service.Spec.ClusterIPs = addr.String(), []string{addr.String()}
	}
	return nil
}

func (k *Keeper) releasePort(ctx context.Context, number allocator.Number) error {
	service, err := k.portsOf(ctx, k.Live, number)
	if service == nil || err != nil || !slices.Contains(NumbersOfPorts(service), number) {
		return err
	}
	return gone(k.Client.Delete(ctx, service, client.Preconditions{UID: &service.UID}))
}

// portsOf reads the Service that a port belongs to; nil when there is none.
func (k *Keeper) portsOf(ctx context.Context, reader client.Reader, number allocator.Number) (*corev1.Service, error) {
	service := &corev1.Service{}
	err := reader.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: PortsName(number.Port)}, service)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return service, err
}

// addressOf reads the IPAddress of a number; nil when there is none.
func addressOf(ctx context.Context, reader client.Reader, number allocator.Number) (*networkingv1.IPAddress, error) {
	address := &networkingv1.IPAddress{}
	err := reader.Get(ctx, client.ObjectKey{Name: number.Addr.String()}, address)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return address, err
}

// gone takes a deletion for done when the object is not there, or another one is.
func gone(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}
