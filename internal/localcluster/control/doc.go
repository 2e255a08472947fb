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

// Package control is how the two halves of a local cluster talk: the commands
// on the machine, and the supervisor inside the cluster's namespaces.
//
// While a cluster starts, the supervisor writes Events into a pipe. From then
// on it answers HTTP on a unix socket in the state directory, whose mode lets
// nobody in but the owner of the cluster.
package control
