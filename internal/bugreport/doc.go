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

// Package bugreport packs into one archive what somebody needs who looks for a fault
// and has no access to the cluster: objects, logs, the programs' own pages, and what
// status, audit and pools say.
//
// No Secret is read. What was read passes two gates: Clean knows the fields of
// objects, and keeps of annotations and environment variables only those that are
// known to hold no secrets; Redact knows what secrets look like in any text. Neither
// can know all: who sends an archive looks through it.
package bugreport
