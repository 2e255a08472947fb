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
//
//	service -> addresses -> conflicts -> selector -> readiness -> ports -> families
//	  -> slices -> traffic policies, source ranges, agents, network policies, dns
//
// The first Problem of the chain decides. A check that could only repeat it is
// left out, as slices are empty where no pod is ready. What keeps nobody out is
// no Warning: a pod that starts or ends beside ready ones, a port that no container
// declares, a NetworkPolicy that lets somebody in. It is among the details.
//
// The work is in proportion to pods, slices and policies. Texts are bounded: three
// names and a count of the rest, ten lines of details.
package diagnosis
