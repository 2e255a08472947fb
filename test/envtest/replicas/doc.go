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

// Package replicas tests that allocation is right with several replicas of the
// manager, some of which die while they allocate: eight of them in front of one
// API server, 64 clients that create, change and delete Services over a range of
// NodePorts that is nearly full, and a ledger that is asked afterwards whether
// every answer was true.
//
// What is asserted: no port is given to two Services, whoever is told that a port
// is held is told the truth, no other error comes, and when all is over every port
// can be had again. Answers in the server's own words, which do not name the
// holder, are counted by their cause; those of a cause that a replica can rule out
// fail the test. What remains is said in docs/allocation.md.
package replicas
