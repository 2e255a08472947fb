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

// Package endstate compares what the endpoint controllers leave behind with what
// kube-controller-manager's own three do. Both live through the same generated
// histories on the same API server, one after the other: small clusters, each in
// a namespace of its own, with Services that come, change, go and come again,
// pods in every state, and Endpoints made by hand.
//
// Slices are compared by what clients see in them: how endpoints are packed
// depends on which changes a controller sees together. What we do otherwise on
// purpose is told by name in documented, and has to be met.
package endstate
