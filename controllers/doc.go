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

// Package controllers holds the reconcilers that switchyard-manager runs on
// its leader. Each file called *_reconciler.go is one of them: what it watches,
// what it reads, what it writes. The decisions are pure functions in the files
// beside it, from API objects to API objects, and are tested without a server.
//
//	Services, Pods, Nodes  -> EndpointSliceReconciler          -> EndpointSlices
//	Services, Pods         -> EndpointsReconciler              -> Endpoints
//	Endpoints, Services    -> EndpointSliceMirroringReconciler -> EndpointSlices
//	Services               -> AllocationReconciler             -> allocator, Events
//	Services, IPAddresses  -> Reservations                     -> placeholders, reservations, status of pools, Events
//	Services, Pods, slices -> DiagnosisReconciler              -> status of Services, Events
//
// The first three take the place of kube-controller-manager's controllers of the
// same names (KEP-0752) and carry their managed-by labels; SetupEndpoints starts
// those that an EndpointsMode asks for, and refuses while somebody else still
// writes the same objects.
//
// The reconcilers never touch an object that is not labelled or owned as theirs,
// and delete nothing before the caches they decide from are in sync.
package controllers
