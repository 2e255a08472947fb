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

// Package diagnosis finds the reason why a Service does not answer. It turns
// Facts, what is known of one Service and of what is around it, into a Report:
// a chain of checks from the Service's existence to its DNS name, and one
// sentence that says what is wrong and what to change, or that it answers.
//
// Two read the cluster for it: the diagnosis reconciler, which keeps the
// conditions of Services, and `switchyard why`. Both say the same since both
// call Examine. It reads and writes nothing itself, and never guesses: what
// could not be read is in Facts.Unseen, and a check that needs it says Unknown.
package diagnosis
