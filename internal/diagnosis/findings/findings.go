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

package findings

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/diagnosis"
)

// Of tells what audit found of a Service's numbers in the words of an examination.
// Of the numbers that two Services have only a ClusterIP is a reason not to answer:
// it is what everything in the cluster asks. One without a record works until it
// is given to somebody else.
func Of(service *corev1.Service, f audit.Finding) diagnosis.NumberFinding {
	twice := f.Kind == audit.NumberHeldTwice || f.Kind == audit.FrontendHeldTwice
	clusterIP := slices.ContainsFunc(allocator.HoldingsOf(service), func(h allocator.Holding) bool { return !h.Number.IsPort() && f.About(h.Number) })
	return diagnosis.NumberFinding{
		Reason: string(f.Kind), Number: f.Number, Message: f.Message, Remedy: f.Remedy,
		Error: twice && clusterIP, Unallocated: !twice,
	}
}

// ForItsUsers is Of without what only who may read other namespaces knows. A
// remedy of a double says who is to give the number up, the oldest holder never.
func ForItsUsers(service *corev1.Service, f audit.Finding) diagnosis.NumberFinding {
	told := Of(service, f)
	own := audit.Object{Kind: "Service", Namespace: service.Namespace, Name: service.Name}
	foreign := slices.ContainsFunc(f.Objects, func(o audit.Object) bool { return o.Namespace != "" && o.Namespace != service.Namespace })
	switch {
	case f.Kind == audit.IPAddressWrongReference:
		// The other object is in the text alone.
		told.Message = "the IPAddress says that " + f.Number + " belongs to another object: it goes when that does, and may then be given away twice"
	case f.Kind == audit.ReservedNumberTaken:
		told.Message = f.Number + " is reserved for another Service"
		told.Remedy = "give it another number"
	case !foreign, f.Kind == audit.FrontendHeldTwice:
	case f.Kind == audit.NumberHeldTwice && f.Objects[0] == own:
		told.Remedy = "it is the oldest and keeps the number; the other holder is in another namespace, and has to be given another"
	case f.Kind == audit.NumberHeldTwice:
		told.Remedy = "a Service of another namespace is the oldest and keeps the number; give it another"
	default:
		told.Message, told.Remedy = "something is wrong with "+f.Number+" that concerns another namespace", ""
	}
	return told
}
