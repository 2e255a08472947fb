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

// Package serviceenv says which environment variables a pod gets of Services,
// and what is wrong with them. For turns Services into variables, in the
// kubelet's form, and Check finds what surprises people: two Services that give
// one variable, names that no shell accepts, more than a program can be started
// with. The local cluster's node runner gives pods these variables, and
// `switchyard env` prints them. It reads no cluster.
package serviceenv
