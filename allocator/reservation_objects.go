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

package allocator

import (
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// ReservationOfPort reads a PortReservation, whose name is its number. The error
// names what is wrong and what to write instead.
func ReservationOfPort(object *v1alpha1.PortReservation) (Reservation, error) {
	number, err := strconv.ParseUint(object.Name, 10, 16)
	if err != nil || number == 0 || strconv.FormatUint(number, 10) != object.Name {
		return Reservation{}, fmt.Errorf("reading PortReservation %s: the name is no port: name it after the port it reserves, 1 to 65535", object.Name)
	}
	service, err := serviceOf(object.Spec.ServiceRef)
	if err != nil {
		return Reservation{}, fmt.Errorf("reading PortReservation %s: %w", object.Name, err)
	}
	return Reservation{
		Number: PortNumber(int32(number)), Object: object.Name, Service: service, Created: object.CreationTimestamp.Time,
		HealthCheck: object.Spec.HealthCheck, PortNames: object.Spec.PortNames,
	}, nil
}

// ReservationOfAddress reads an AddressReservation, whose name is its address.
// The error names what is wrong and what to write instead.
func ReservationOfAddress(object *v1alpha1.AddressReservation) (Reservation, error) {
	addr, err := parseAddr(object.Spec.Address)
	if err != nil || !addr.IsValid() {
		return Reservation{}, fmt.Errorf("reading AddressReservation %s: spec.address: %q is no address: write 192.0.2.1 or 2001:db8::1",
			object.Name, object.Spec.Address)
	}
	number := AddrNumber(addr)
	if name := number.ReservationName(); object.Name != name {
		return Reservation{}, fmt.Errorf("reading AddressReservation %s: it reserves %s, so its name must be %s", object.Name, addr, name)
	}
	service, err := serviceOf(object.Spec.ServiceRef)
	if err != nil {
		return Reservation{}, fmt.Errorf("reading AddressReservation %s: %w", object.Name, err)
	}
	return Reservation{Number: number, Object: object.Name, Service: service, Created: object.CreationTimestamp.Time}, nil
}

func serviceOf(ref *v1alpha1.ServiceReference) (types.NamespacedName, error) {
	if ref == nil {
		return types.NamespacedName{}, nil
	}
	if ref.Namespace == "" || ref.Name == "" {
		return types.NamespacedName{}, fmt.Errorf("spec.serviceRef: it needs a namespace and a name; without serviceRef nobody gets the number")
	}
	return types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, nil
}
