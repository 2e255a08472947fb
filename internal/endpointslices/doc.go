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

// Package endpointslices decides what the EndpointSlices of a Service with a
// selector should be (KEP-0752). Plan turns the Service, its pods and the slices
// there are into slices to create, update and delete; Increment does the same
// for a few pods that have changed, without a look at the others. Both are pure:
// the EndpointSlice reconciler reads before and writes after.
//
// The result is that of k8s.io/endpointslice, which tests compare it with.
// That library prints and hashes every endpoint and port list by reflection, and
// plans a Service as a whole whenever one of its pods changes: what that costs
// is in BenchmarkOnePodOf5000. Topology hints, traffic distribution and metrics
// are still the library's.
package endpointslices
