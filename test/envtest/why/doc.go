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

// Package why asks why Services do not answer on a real API server without any
// part of Switchyard, its CRDs included, and mostly with the rights of somebody
// who may read Services, EndpointSlices and pods of one namespace, and no more.
// What controllers and kubelets write is written as they would.
package why
