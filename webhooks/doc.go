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

// Package webhooks holds what Switchyard says while an object is being
// written: the validating webhooks for Services, Endpoints, EndpointSlices, pools
// and ServiceCIDRs, and the mutating webhook that allocates a Service's numbers.
//
// The validating half turns one change of one object, and what other objects
// hold now, into findings. Each rule is a pure function over small read
// interfaces (World) and has an entry in the rule table (Table) with an ID, a
// name and a severity that an administrator may change, for the cluster or for a
// namespace: deny, warn or off.
// The adapters at the edge decode the request, ask the rules and answer.
//
// Four promises hold for every rule:
//   - Only what a change adds is judged. An object that was wrong before stays
//     editable, and deletion, with the finalizers it waits for, always passes.
//   - A rule reads other objects through indexes, never by listing everything,
//     and what the cache says is confirmed by a live read before it is used to
//     refuse (a holder deleted a moment ago holds nothing).
//   - A rule that can not be judged does not block the cluster: the change
//     passes with a warning, except in namespaces labelled
//     switchyard.dev/admission=enforce, which asked for the opposite. There too,
//     a rule that only warns refuses nothing.
//   - The work for one change is bounded by its size and never by the product of
//     its parts; what is too large to be judged is refused, not waved through.
//
// No rule is a lock: two Services created in the same instant may both take one
// external IP, as before. Numbers that must be unique are the allocator's.
//
// What a cluster needs to boot is exempt: default/kubernetes, the cluster DNS
// Service, Switchyard's own namespace, and the endpoint writers of Kubernetes
// itself (see Exemptions).
package webhooks
