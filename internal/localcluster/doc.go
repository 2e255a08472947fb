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

// Package localcluster is the machine's side of `switchyard up`: it starts a
// local cluster in namespaces of its own, finds the one that runs, enters its
// networks, and ends it.
//
// The cluster's own side is package supervisor, which this package runs as a
// child. Between them are the state directory (package state), a pipe and a
// socket (package control). Nothing here ever changes the machine's network:
// what a cluster is made of is inside, and gone when its init is.
package localcluster
