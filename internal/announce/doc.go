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

// Package announce decides which nodes may answer for a load balancer's address,
// and in which order they are asked to: it turns Nodes, Services and where their
// endpoints run into names of nodes. It holds no client, no socket and no clock.
// Both ways to announce an address call it: at layer 2, where one of the nodes
// answers, and by routes, where all of them do.
//
// What it promises:
//
//  1. A node that administrators took out, or that is about to go, announces nothing.
//  2. A Service with externalTrafficPolicy Local is announced only where it has
//     an endpoint, so that the client's address can be kept.
//  3. The order is the same on every node that knows the same, and a node that
//     comes or goes changes the first place of its own share of addresses only.
package announce
