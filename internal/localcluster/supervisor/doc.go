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

// Package supervisor runs a local cluster from inside its namespaces. It has
// two programs, both the switchyard binary itself:
//
//	machine      switchyard up
//	-------------- | -- new PID, mount, network (and user) namespace --------
//	cluster      Init        PID 1: private mounts, reaps, ends with its child
//	               | Run     networks, certificates, processes, progress
//	                  | etcd, kube-apiserver, ..., switchyard-manager, switchyard-node
//
// Init is the init of the PID namespace: when it ends, for whatever reason,
// the kernel ends every process in there, and namespaces and mounts go with
// their last process. Init ends when Run does. So there is no way to leave a
// part of a cluster behind, and nothing has to be cleaned up in order.
//
// What the machine's commands need of a cluster was opened by them, in the
// machine's namespaces, and is inherited: the TCP listener that becomes the
// API server's address, and the control socket.
package supervisor
