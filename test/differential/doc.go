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

// Package differential compares internal/validation with the code that it
// stands in for: the Service, Endpoints and EndpointSlice strategies of a stock
// API server. Over generated and mutated objects the two must agree on every
// error: its type, its path and its text. Likewise internal/serviceenv with the
// kubelet's variables, internal/subsets with the packing of Endpoints, and the
// ports of internal/endpointslices with those that upstream finds.
//
// It is a module of its own because k8s.io/kubernetes needs a replace for each
// of its staging modules, which must not leak into the product's module.
package differential
