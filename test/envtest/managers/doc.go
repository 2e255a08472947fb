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

// Package managers tests what only processes show: two of the real
// switchyard-manager, as a Deployment runs them, with leader election and a
// certificate that they share, behind one address. One after the other is ended
// without being asked, the leader last, while clients create, change and delete
// Services with NodePorts, automatic and explicit.
//
// What is asserted: whoever lives answers, leader or not; no port is given twice
// or lost; no client sees an error but that a port is taken; and what only a
// leader does, claims that are collected and reservations that are held, goes on
// once the lease of the dead one has run out.
//
// Leaders also die in the middle of a change of hundreds of pods: slices and
// Endpoints come to what the pods are, and no Service loses its last ready endpoint
// at any time.
package managers
