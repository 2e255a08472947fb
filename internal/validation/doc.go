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

// Package validation says what an API server would object to in a Service, an
// Endpoints or an EndpointSlice, without one: with the server's own field
// paths, error types and messages, so that what a user greps for is the same.
// The rules are those of Kubernetes 1.37; test/differential compares them with
// k8s.io/kubernetes over generated and mutated objects.
//
// It works on the versioned types and is for `switchyard lint`, and for API
// servers that have no Service validation of their own.
//
//   - ValidateService and its siblings take a whole object, as it stands after
//     defaulting and allocation, and return every error.
//   - Manifest takes what a user wrote and does first what the server does
//     before it validates: Default, and the rules of the IP family fields.
//   - Warnings are what the server warns about, and Holes is what it accepts
//     in silence although it can not work.
//
// Nothing here looks at other objects (package webhooks does), reads or writes
// anything, or changes its arguments, but for Default, which says so.
package validation
