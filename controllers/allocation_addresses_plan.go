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
	"fmt"
	"slices"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
)

// serverManagedBy is the managed-by label of the IPAddresses that the API server
// makes, and collects when they have leaked.
const serverManagedBy = "ipallocator.k8s.io"

// addressLeakAge is how old an IPAddress has to be before it counts as leaked: a
// request that has made it may become a Service for as long (A18).
const addressLeakAge = 60 * time.Second

// addressFacts is what exists around one ClusterIP.
type addressFacts struct {
	number allocator.Number
	// object is the IPAddress, nil when there is none.
	object *networkingv1.IPAddress
	// users have the address as a ClusterIP, the oldest first.
	users []allocator.Holder
	// parent is the Service that the IPAddress names, nil when there is none.
	parent *allocator.Holder
	now    time.Time
}

// addressFinding is what is wrong with the record of a ClusterIP. Numbers that two
// Services hold are told by the index, and are none.
type addressFinding struct {
	reason string
	// concerned are the Services to tell; without any, the IPAddress is told.
	concerned []allocator.Holder
	// text is for the users of a namespace: it names no Service of another one.
	text func(reader string) string
}

// find compares a ClusterIP with the API server's record of it.
//
//	Services that have it   IPAddress                      finding
//	some                    none                           ClusterIPNotAllocated
//	some                    names none of them             IPAddressWrongReference
//	none                    names a Service, for a minute  IPAddressWrongReference
//	none                    names nothing, for a minute    IPAddressNotAllocated
//	none                    is not the API server's        nothing
func (f addressFacts) find() addressFinding {
	if f.object == nil {
		if len(f.users) == 0 {
			return addressFinding{}
		}
		return addressFinding{reasonAddrMissing, f.users, func(reader string) string {
			return fmt.Sprintf("ClusterIP %s of %s has no IPAddress, so another Service may get it; the API server's repair makes one", f.number, names(reader, f.users))
		}}
	}
	if len(f.users) > 0 {
		return f.findReference()
	}
	if f.object.Labels[networkingv1.LabelManagedBy] != serverManagedBy || f.now.Sub(f.object.CreationTimestamp.Time) <= addressLeakAge {
		return addressFinding{}
	}
	if f.parent != nil {
		return addressFinding{reasonAddrReference, []allocator.Holder{*f.parent}, func(reader string) string {
			return fmt.Sprintf("IPAddress %s names %s, which does not have it as a ClusterIP; the API server's repair removes it",
				f.number, serviceFor(reader, f.parent.Service))
		}}
	}
	return addressFinding{reasonAddrLeaked, nil, func(string) string { // on the IPAddress, of which only administrators read
		return fmt.Sprintf("IPAddress %s names %s, which does not exist, so nobody can get the address; the API server's repair removes it",
			f.number, parentText(f.object))
	}}
}

func (f addressFacts) findReference() addressFinding {
	if f.parent != nil && slices.ContainsFunc(f.users, func(h allocator.Holder) bool { return h.Service == f.parent.Service }) {
		return addressFinding{}
	}
	concerned := slices.Clone(f.users)
	if f.parent != nil {
		concerned = append(concerned, *f.parent)
	}
	return addressFinding{reasonAddrReference, concerned, func(reader string) string {
		parent := parentText(f.object)
		if key, ok := parentService(f.object); ok {
			parent = serviceFor(reader, key)
		}
		return fmt.Sprintf("ClusterIP %s is that of %s, but its IPAddress names %s; the API server's repair makes it anew", f.number, names(reader, f.users), parent)
	}}
}

// parentText is what an IPAddress names: "services team/web".
func parentText(object *networkingv1.IPAddress) string {
	parent := object.Spec.ParentRef
	if parent == nil {
		return "nothing"
	}
	resource := parent.Resource
	if parent.Group != "" {
		resource += "." + parent.Group
	}
	return resource + " " + types.NamespacedName{Namespace: parent.Namespace, Name: parent.Name}.String()
}

// parentService is the Service that an IPAddress names, if it names one.
func parentService(object *networkingv1.IPAddress) (types.NamespacedName, bool) {
	parent := object.Spec.ParentRef
	if parent == nil || parent.Group != "" || parent.Resource != "services" {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: parent.Namespace, Name: parent.Name}, true
}

func names(reader string, holders []allocator.Holder) string {
	texts := make([]string, len(holders))
	for i, holder := range holders {
		texts[i] = serviceFor(reader, holder.Service)
	}
	return strings.Join(texts, ", ")
}
