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

// Package lint reads manifests and says what is wrong with the Services,
// Endpoints and EndpointSlices in them: the documents of files, directories and
// standard input become Objects and Problems, and the Objects, Findings.
//
// `switchyard lint` prints them. Whatever is handed in, memory and time are
// bounded, and what can not be read is named with its file and document.
// Package validation has the rules.
package lint
