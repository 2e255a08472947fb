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

// Package allocation holds the allocation of ClusterIPs and NodePorts to one
// table, on real API servers: alone, with the webhook in advisory mode, and in
// authoritative mode. A case says what is the same everywhere, and what each mode
// answers where they differ. docs/allocation.md lists the rows and their tests.
//
// Two API servers are started: one with both families and with both bands in
// every range, one with a single family and ranges that are soon full. The second
// gets another one beside it later, with what a cluster has that has grown.
package allocation
