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

// Package audit finds what is wrong with the numbers of a cluster: ClusterIPs,
// NodePorts and other addresses that two Services have, that lie where they
// should not, or that objects of the API server or of Switchyard contradict.
//
// It is a function from an inventory to findings, in an order that depends only
// on what exists. It reads no cluster, no clock, and changes nothing.
package audit
