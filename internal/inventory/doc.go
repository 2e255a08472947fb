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

// Package inventory reads what says who has which ClusterIP, NodePort or other
// address of a Service: the Services themselves, the API server's IPAddresses
// and ServiceCIDRs, and the pools, reservations and claims of Switchyard. Read
// makes one value of it, and Index the allocator's view of that value, so that
// the command line counts and judges by the code that gives numbers out.
//
// It never writes. What a cluster does not serve, or the user may not list, is
// named in the value and not an error; only Services are indispensable.
package inventory
