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

// Package state is the one place where a local cluster touches the machine's
// file system: its state directory.
//
//	lock          held by the cluster's processes, and so by nobody once they are gone;
//	              it says whose directory this is
//	cluster.json  the Record: who runs it, and what it looks like
//	kubeconfig    for kubectl on the machine, mode 0600
//	control.sock  where the supervisor answers
//	logs/         one file per process
//	run/          empty here; inside the cluster a private tmpfs
//
// Whether a cluster runs is never read from a file, but from the lock: the
// kernel releases it with the last process that holds it, however that ended.
// A directory whose lock is free is what a crash left, and may be replaced.
//
// A directory that holds anything else than such a state is never touched.
package state
