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

import (
	"fmt"
	"net/netip"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"switchyard.dev/switchyard/allocator"
)

const (
	// AddressLabel marks the Leases that are claims of addresses, and names the family.
	AddressLabel = "switchyard.dev/load-balancer-address"
	// ServicesAnnotation lists the Services that have the address, with commas, each
	// as NAMESPACE/NAME UID, and where there are several, the terms of sharing.
	ServicesAnnotation = "switchyard.dev/load-balancer-services"
	// LeavingAnnotation lists those that had it and may yet show it, likewise.
	LeavingAnnotation = "switchyard.dev/load-balancer-leaving"

	leasePrefix    = "lb-"
	managedByLabel = "app.kubernetes.io/managed-by"
	managedBy      = "switchyard-manager"
)

// LeaseOf is the object that records a claim. Its name is that of the address, so
// that creating it is the lock between two managers. The spec is left to who
// announces the address.
func LeaseOf(namespace string, claim Claim) *coordinationv1.Lease {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace,
		Name:      leasePrefix + allocator.AddrNumber(claim.Addr).ReservationName(),
		Labels:    map[string]string{AddressLabel: string(familyOf(claim.Addr)), managedByLabel: managedBy},
	}}
	lease.Annotations = map[string]string{ServicesAnnotation: textOf(claim.Holders)}
	if len(claim.Leaving) > 0 {
		lease.Annotations[LeavingAnnotation] = textOf(claim.Leaving)
	}
	return lease
}

func textOf(holders []Holder) string {
	var texts []string
	for _, h := range holders {
		text := h.Service.String() + " " + string(h.UID)
		if h.Terms != "" {
			text += " " + h.Terms
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ",")
}

// AddrOfLease is the address whose claim has this name.
func AddrOfLease(name string) (netip.Addr, bool) {
	number, err := allocator.ParseReservationName(strings.TrimPrefix(name, leasePrefix))
	if err != nil || number.IsPort() || !strings.HasPrefix(name, leasePrefix) {
		return netip.Addr{}, false
	}
	return number.Addr, true
}

// ClaimOf is the reverse of LeaseOf. The error is about a Lease that somebody
// else has written: the address is held, and nobody knows by whom.
func ClaimOf(lease *coordinationv1.Lease) (Claim, error) {
	addr, named := AddrOfLease(lease.Name)
	if !named {
		return Claim{}, fmt.Errorf("reading Lease %s/%s: its name is that of no load balancer's address", lease.Namespace, lease.Name)
	}
	holders, err := holdersIn(lease, ServicesAnnotation)
	if err != nil {
		return Claim{}, err
	}
	leaving, err := holdersIn(lease, LeavingAnnotation)
	if err != nil {
		return Claim{}, err
	}
	return Claim{Addr: addr, Holders: holders, Leaving: leaving}, nil
}

func holdersIn(lease *coordinationv1.Lease, annotation string) (holders []Holder, err error) {
	text := lease.Annotations[annotation]
	if text == "" {
		return nil, nil
	}
	for one := range strings.SplitSeq(text, ",") {
		if len(holders) == maxHolders {
			return nil, fmt.Errorf("reading Lease %s/%s: its annotation %s has more than %d Services", lease.Namespace, lease.Name, annotation, maxHolders)
		}
		holder, ok := holderOf(one)
		if !ok {
			return nil, fmt.Errorf("reading Lease %s/%s: %.100q in its annotation %s is no Service", lease.Namespace, lease.Name, one, annotation)
		}
		holders = append(holders, holder)
	}
	return holders, nil
}

// IsLabelled reports whether a claim has the label without which nobody who
// watches claims sees it.
func IsLabelled(lease *coordinationv1.Lease) bool {
	addr, named := AddrOfLease(lease.Name)
	return named && lease.Labels[AddressLabel] == string(familyOf(addr))
}

// holderOf reads one Service of a claim. It takes only what a Service may be
// called, as it is looked for by that name.
func holderOf(text string) (Holder, bool) {
	fields := strings.Split(text, " ")
	namespace, name, _ := strings.Cut(fields[0], "/")
	if len(fields) < 2 || len(fields) > 3 || len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Label(name)) > 0 {
		return Holder{}, false
	}
	for _, field := range fields[1:] {
		if field == "" || len(field) > maxField || strings.ContainsFunc(field, isOdd) {
			return Holder{}, false
		}
	}
	holder := Holder{Service: types.NamespacedName{Namespace: namespace, Name: name}, UID: types.UID(fields[1])}
	if len(fields) == 3 {
		holder.Terms = fields[2]
	}
	return holder, true
}

// maxField is the length of the longest UID or terms that is read.
const maxField = 128

// isOdd is true for what no UID has: all but printed ASCII.
func isOdd(r rune) bool { return r <= ' ' || r > '~' }
