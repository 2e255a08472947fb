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

// Package netns makes Linux network namespaces and runs code inside them. It
// is what the local cluster and the packet tests stand on: nodes, pods and
// outside clients are namespaces.
//
// A Namespace is an open file. It exists as long as the file, a bind mount of
// it, a process or a socket inside it does, so a crash of its maker leaves
// nothing behind unless it was given a name in the file system.
//
// The package never changes the namespace of a thread that other goroutines
// can be scheduled on.
package netns
