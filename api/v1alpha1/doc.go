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

// Package v1alpha1 is the API of Switchyard's own objects: pools say which
// numbers Services of which namespaces get, reservations keep one number for one
// Service. All are cluster-scoped, because numbers are. The package holds types
// only; what they mean is decided in package allocator, and what is done about
// it in package controllers.
//
// +kubebuilder:object:generate=true
// +groupName=switchyard.dev
package v1alpha1
