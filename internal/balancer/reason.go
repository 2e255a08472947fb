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

package balancer

import "fmt"

// Reason is one word, for a condition or an Event.
type Reason string

// Why a Service has what it asks for, or not.
const (
	// ReasonAssigned is that of a Service that has what it asks for, or prefers
	// both families and has one.
	ReasonAssigned Reason = "AddressAssigned"
	// ReasonNoPool says that no pool with addresses of the family selects it.
	ReasonNoPool Reason = "NoPool"
	// ReasonNotAutomatic says that such pools give addresses only by value.
	ReasonNotAutomatic Reason = "PoolsNotAutomatic"
	// ReasonDisabled says that such pools give nothing new at all.
	ReasonDisabled Reason = "PoolDisabled"
	// ReasonExhausted says that none is free there.
	ReasonExhausted Reason = "PoolExhausted"
	// ReasonInvalid says that what it asks for can not be understood.
	ReasonInvalid Reason = "RequestInvalid"
	// ReasonNotInPool says that the address is in no pool that selects it.
	ReasonNotInPool Reason = "RequestedAddressNotInPool"
	// ReasonReserved says that the address is kept for another, or for nobody.
	ReasonReserved Reason = "RequestedAddressReserved"
	// ReasonInUse says that somebody else has the address.
	ReasonInUse Reason = "RequestedAddressInUse"
	// ReasonSharing says that who has it has the same sharing key, and yet the
	// two can not share.
	ReasonSharing Reason = "SharingRefused"
	// ReasonFamily says that the Service lacks the family.
	ReasonFamily Reason = "FamilyUnavailable"
	// ReasonClaiming says that the address is not yet recorded for the Service.
	ReasonClaiming Reason = "AddressBeingClaimed"
	// ReasonDeleting says that it is being deleted and gets nothing new.
	ReasonDeleting Reason = "BeingDeleted"
)

// Why a Service loses an address.
const (
	// LossPool says that no pool that selects the Service has the address.
	LossPool Reason = "AddressNotInPool"
	// LossFamily says that the Service has no address of the family any longer.
	LossFamily Reason = "AddressFamilyUnwanted"
	// LossSharing says that it and another can not share the address any longer.
	LossSharing Reason = "AddressSharingEnded"
	// LossMoved says that it has got another one, which it asks for.
	LossMoved Reason = "AddressMoved"
	// LossUnserved says that it is no longer ours to serve.
	LossUnserved Reason = "AddressReleased"
)

// refusal is why a Service does not get an address, or loses one.
type refusal struct {
	reason  Reason
	message string
}

func refuse(reason Reason, format string, args ...any) *refusal {
	return &refusal{reason, fmt.Sprintf(format, args...)}
}
